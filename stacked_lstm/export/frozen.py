"""`Frozen`: a graph whose variables are constants."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.export import frozen_directions, graph_nodes
from stacked_lstm.export.frozen_layers import FrozenCall, Spec, calls_in, freeze_call, spec_of

# Starts of the names of ops that only programs with this package, or with a GPU, or this process can run.
_NOT_PORTABLE = ("StackedLstm", "Cudnn", "PyFunc", "EagerPyFunc")

_PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")


class Frozen(NamedTuple):
    """A graph without variables.

    Fields:
      definition: the GraphDef.
      inputs, outputs: lists of `Spec` with names of nodes. The inputs are placeholders.
      calls: list of `FrozenCall`: the LSTM layers that the outputs need.
    """

    definition: Any
    inputs: Sequence[Spec]
    outputs: Sequence[Spec]
    calls: Sequence[FrozenCall]


def freeze(session: tf.Session, inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]) -> Frozen:
    """Replaces the variables of a session by constants, and gives the inputs and outputs new names.

    Placeholders with a default that are not among the inputs have their defaults. Nodes have no devices.

    Args:
      session: an open session with initialized variables.
      inputs, outputs: dictionaries from new names to tensors of the session's graph. Inputs are placeholders.

    Raises:
      ValueError: an argument has no such tensors, a name is taken, or an output needs a placeholder that is not among
        the inputs.
    """
    _check_tensors(session, inputs, outputs)
    names = sorted({tensor.op.name for tensor in outputs.values()})
    definition = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), names)
    present = {node.name for node in definition.node}
    frozen_calls = [freeze_call(session, call, inputs) for call in calls_in(session.graph, present)]
    graph_nodes.without_places(definition)
    _set_placeholders(definition, {tensor.op.name for tensor in inputs.values()})
    _rename(definition, inputs, outputs, frozen_calls)
    frozen_calls = frozen_directions.separate(definition, frozen_calls)
    input_specs, output_specs = ([spec_of(t, name) for name, t in tensors.items()] for tensors in (inputs, outputs))
    return Frozen(definition, input_specs, output_specs, frozen_calls)


def _check_tensors(session: tf.Session, inputs: Any, outputs: Any) -> None:
    if not hasattr(session, "run") or not hasattr(session, "graph"):
        checks.fail("export.write", "`session` to be an open tf.Session", checks.describe(session))
    for argument, tensors in (("inputs", inputs), ("outputs", outputs)):
        are_tensors = isinstance(tensors, Mapping) and all(isinstance(t, tf.Tensor) for t in tensors.values())
        if not are_tensors or not tensors or any(tensor.graph is not session.graph for tensor in tensors.values()):
            expected = f"`{argument}` to be a dictionary from names to tensors of the session's graph"
            checks.fail("export.write", expected, checks.describe(tensors))
        for name in tensors:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                expected = f"names in `{argument}` to be letters, digits, _ and ., without _ and . at the start"
                checks.fail("export.write", expected, repr(name))
    for name, tensor in inputs.items():
        if tensor.op.type not in _PLACEHOLDERS:
            checks.fail("export.write", f"`inputs[{name!r}]` to be a placeholder", f"the result of {tensor.op.type}")
    if len({tensor.name for tensor in inputs.values()}) < len(inputs):
        checks.fail("export.write", "`inputs` to have each placeholder once", ", ".join(inputs))


def _set_placeholders(definition: Any, names: set[str]) -> None:
    """Turns placeholders with a default into placeholders if they are among `names`, otherwise into their defaults."""
    for node in definition.node:
        if node.op == "PlaceholderWithDefault":
            dtype, shape = tf.as_dtype(node.attr["dtype"].type), tf.TensorShape(node.attr["shape"].shape)
            is_input = node.name in names
            new = (
                graph_nodes.placeholder(node.name, dtype, shape)
                if is_input
                else graph_nodes.identity(node.name, node.input[0], dtype)
            )
            node.CopyFrom(new)


def _rename(
    definition: Any, inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor], layers: list[FrozenCall]
) -> None:
    """Renames the placeholders, and adds a node for each output. Calls that read a placeholder change, too."""
    new_names = {tensor.name: f"{name}:0" for name, tensor in inputs.items()}
    old_nodes = {tensor.op.name: name for name, tensor in inputs.items()}
    placeholders = [node for node in definition.node if node.op == "Placeholder"]
    missing = [node.name for node in placeholders if node.name not in old_nodes]
    if missing:
        expected = "`inputs` to have all placeholders that `outputs` need"
        checks.fail("export.write", expected, f"none for {', '.join(missing)}")
    unused = [name for old, name in old_nodes.items() if old not in {node.name for node in placeholders}]
    if unused:
        checks.fail("export.write", "`inputs` that `outputs` need", f"also {', '.join(unused)}")
    others = {node.name for node in definition.node} - set(old_nodes) | {graph_nodes.SCOPE}
    taken = sorted(others & {*inputs, *outputs}) + sorted({*inputs} & {*outputs})
    if taken:
        checks.fail("export.write", "names that no other op of the graph has", ", ".join(taken))
    for node in placeholders:
        node.name = old_nodes[node.name]
    graph_nodes.redirect(definition.node, new_names)
    for name, tensor in outputs.items():
        source = new_names.get(tensor.name, tensor.name)
        definition.node.append(graph_nodes.identity(name, source, tensor.dtype.base_dtype))
    for k, call in enumerate(layers):
        specs = [spec._replace(name=new_names.get(spec.name, spec.name)) for spec in call.inputs]
        layers[k] = call._replace(inputs=specs)


def check_portable(definition: Any) -> None:
    """Raises ValueError if the graph has ops that other programs cannot run."""
    functions = [node for function in definition.library.function for node in function.node_def]
    nodes = [node for node in [*definition.node, *functions] if node.op.startswith(_NOT_PORTABLE)]
    if nodes:
        names = ", ".join(f"{node.name} ({node.op})" for node in nodes[:3])
        advice = 'build layers inside functions, loops and imported graphs with engine="graph"'
        checks.fail("export.write", "ops that other programs can run", f"{names}; {advice}")
