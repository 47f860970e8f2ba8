"""`npz`: the LSTM layers of a graph in a file for `stacked_lstm.runtime`, which runs them without TensorFlow."""

from __future__ import annotations

import os
import re
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import activations, checks, durable_files, runtime
from stacked_lstm.compat import tf
from stacked_lstm.engines.calls import Call
from stacked_lstm.export import trial
from stacked_lstm.export.formats import Format
from stacked_lstm.export.frozen import by_gate, calls_in, freeze
from stacked_lstm.layer import Layer
from stacked_lstm.runtime import kernels
from stacked_lstm.temporary_folders import temporary_folder

ENTRY = Format("npz_file", ".npz", (), "stacked_lstm.runtime")

_FUNCTION = "export.npz"
_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_START = re.compile(r"(?P<stack>.*)initial_state/layer_(?P<number>\d+)/(?P<array>W_c|W_h|c|h)")

# What the runtime does not compute -> whether a layer has it.
_UNSUPPORTED = {
    "another equation": lambda layer: layer.step is not None,
    "dropout on states": lambda layer: any(m is not None for m in (layer.h_mask, layer.h_masks, layer.c_masks)),
    "recurrent dropout or zoneout": lambda layer: layer.noise is not None,
    "layer normalization": lambda layer: layer.norm is not None,
    "resets": lambda layer: layer.resets is not None,
    "peepholes": lambda layer: layer.extras.peepholes is not None,
    "a clip of the cell state": lambda layer: layer.extras.cell_clip is not None,
    "a projection": lambda layer: layer.extras.projection is not None,
    "other activations than " + ", ".join(kernels.ACTIVATIONS): lambda layer: (
        not all(map(_has_name, _functions(layer)))
    ),
    "weights of another dtype than float32 and float64": lambda layer: layer.dtype not in (tf.float32, tf.float64),
}


class _Start(NamedTuple):
    """The state before the first step: arrays as `runtime.save` takes them; or states that the program passes."""

    arrays: Sequence[Mapping[str, np.ndarray]]
    is_passed: bool
    variables: set[str]


def npz(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Writes the LSTM layers that some outputs need to an .npz file, for `stacked_lstm.runtime.load`.

    The layers must be one stack. The predictor of the file takes what the lowest layer reads, and returns what the
    layers return. It computes no other op. The values of all other variables that the outputs need, such as those of an
    embedding and a dense layer, are in the file, too: `np.load(path)["other_arrays/dense/kernel"]`. If the initial
    state is a placeholder, the predictor takes it as an argument.

    Args:
      session, inputs, outputs, path, example: as for `write`. The path ends in .npz.

    Returns:
      Dictionary with the keys "outputs" and "state": the largest differences of the predictor's results from those of
      the layers in the session, as fractions of the largest number. They are at most 1e-5.

    Raises:
      ValueError: as in `write`; or the layers have something that `runtime.Predictor` does not compute, such as
        `residual`, zoneout, layer normalization, peepholes, projections or clips.

    Example:
      >>> from stacked_lstm import export, runtime
      >>> x = tf.placeholder(tf.float32, [None, 5, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3], initial_state="projected")(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     differences = export.npz(session, {"x": x}, {"h": state[-1].h}, "model.npz")
      >>> runtime.load("model.npz")
      Predictor([3], input_size=2, float32, projected)
    """
    path = str(path)
    trial.check_path(path, ENTRY)
    with trial.quiet():
        frozen = freeze(session, inputs, outputs)  # It checks the arguments.
        names = [tensor.op.name for tensor in outputs.values()]
        definition = tf.graph_util.extract_sub_graph(session.graph.as_graph_def(), names)
        nodes = {node.name for node in definition.node}
        calls = calls_in(session.graph, nodes)
        _check_stack(calls, nodes)
        arrays = trial.arrays_of(inputs, example, ENTRY)
        fetches = {"x": calls[0].x, "states": [list(state) for call in calls for state in call.states]}
        fetches["state"] = [list(final) for call in calls for final in call.finals]
        fetches["outputs"] = calls[-1].outputs
        if calls[0].lengths is not None:
            fetches["lengths"] = calls[0].lengths
        results: dict[str, Any] = trial.run_session(session, inputs, fetches, arrays, example is None)
        start = _start(session, calls, results["states"])
        layers = [layer for call in frozen.calls for layer in call.layers]
        with temporary_folder(os.path.dirname(os.path.abspath(path)), ".writing-") as folder:
            new = os.path.join(folder, os.path.basename(path))
            function = layers[0]
            runtime.save(
                new,
                [by_gate(layer) for layer in layers],
                start.arrays,
                activation=function.activation.name,
                recurrent_activation=function.recurrent_activation.name,
                other_arrays=_other_arrays(session, calls, nodes, start),
            )
            differences = _differences(new, results, start)
            trial.check_differences(differences, {name: results["x"] for name in differences}, path, ENTRY, None)
            durable_files.move(new, path)
    return differences


def _functions(layer: Layer) -> tuple[activations.Activation, activations.Activation]:
    return layer.activation, layer.recurrent_activation


def _has_name(function: activations.Activation) -> bool:
    return activations.is_named(function) and function.name in kernels.ACTIVATIONS


def _check_stack(calls: Sequence[Call], nodes: set[str]) -> None:
    """Raises ValueError unless the layers are one stack that the runtime computes."""
    if not calls:
        checks.fail(_FUNCTION, "`outputs` that need LSTM layers", "none that this process has built on an engine")
    _check_layers([layer for call in calls for layer in call.layers])
    sums = [op for op in calls[0].outputs.graph.get_operations() if op.name in nodes and op.type in ("Add", "AddV2")]
    for call in calls:
        ends = {_source(call.x), _source(call.outputs)}
        residual = next((op.name for op in sums if {_source(tensor) for tensor in op.inputs} == ends), None)
        if residual:
            checks.fail(_FUNCTION, "layers that stacked_lstm.runtime computes", f"a residual sum, {residual}")
    for lower, upper in zip(calls, calls[1:]):
        if _source(upper.x) != _source(lower.outputs):
            expected = "one stack, in which each layer reads the outputs of the layer below"
            checks.fail(_FUNCTION, expected, f"a layer that reads {_source(upper.x)}")
        if _lengths(upper) != _lengths(lower):
            expected = "layers with the same sequence lengths"
            checks.fail(_FUNCTION, expected, f"{_lengths(lower)} and, above them, {_lengths(upper)}")


def _check_layers(layers: Sequence[Layer]) -> None:
    """Raises ValueError if the runtime does not compute a layer, or if layers have different forms."""
    for number, layer in enumerate(layers, 1):
        problem = next((text for text, has in _UNSUPPORTED.items() if has(layer)), None)
        if problem:
            checks.fail(_FUNCTION, "layers that stacked_lstm.runtime computes", f"{problem} in layer {number}")
    forms = {(*[function.name for function in _functions(layer)], bool(layer.biases)) for layer in layers}
    if len(forms) > 1:
        checks.fail(_FUNCTION, "layers with the same activations, and all with biases or all without", "different ones")


def _source(tensor: tf.Tensor) -> str:
    """The name of the tensor before copies (Identity) and exchanges of the first two axes."""
    while tensor.op.type in ("Identity", "Transpose"):
        if tensor.op.type == "Transpose":
            axes = tf.get_static_value(tensor.op.inputs[1])
            if axes is None or list(axes) != [1, 0, 2]:
                break
        tensor = tensor.op.inputs[0]
    name: str = tensor.name
    return name


def _lengths(call: Call) -> str:
    """What the sequence lengths of a call are: the tensor that they are a copy of, or their values; "none" for none."""
    tensor = call.lengths
    if tensor is None:
        return "none"
    while tensor.op.type in ("Identity", "Cast"):
        tensor = tensor.op.inputs[0]
    values = tf.get_static_value(tensor)
    return str(tensor.name) if values is None else str(values.tolist())


def _ancestors(tensors: Sequence[Any]) -> dict[str, tf.Operation]:
    """The ops whose values decide those of tensors. Shapes do not count."""
    ops: dict[str, tf.Operation] = {}
    waiting = [tensor if hasattr(tensor, "op") else tf.convert_to_tensor(tensor) for tensor in tensors]
    waiting = [tensor.op for tensor in waiting]
    while waiting:
        op = waiting.pop()
        if op.name not in ops and op.type != "Shape":
            ops[op.name] = op
            waiting.extend(tensor.op for tensor in op.inputs)
    return ops


def _start(session: tf.Session, calls: Sequence[Call], states: Sequence[Sequence[np.ndarray]]) -> _Start:
    """What the layers start from. `states` are the states of the example."""
    tensors = [tensor for call in calls for state in call.states for tensor in state]
    ops = _ancestors(tensors)
    if all(_strip(tensor).op.type.startswith("Placeholder") for tensor in tensors):
        return _Start((), True, set())
    matches = {name: _START.fullmatch(name) for name, op in ops.items() if op.type in _VARIABLES}
    own = {name: match for name, match in matches.items() if match}
    if own:
        groups: dict[int, dict[str, np.ndarray]] = {}
        values = _values(session, own)
        for name, match in own.items():
            groups.setdefault(int(match.group("number")), {})[match.group("array")] = values[name]
        is_one_stack = len({match.group("stack") for match in own.values()}) == 1
        if is_one_stack and sorted(groups) == list(range(1, len(states) + 1)):
            return _Start([groups[number] for number in sorted(groups)], False, set(own))
    elif not any(op.type.startswith(("Placeholder", *_VARIABLES)) for op in ops.values()):
        if not any(np.any(array) for state in states for array in state):
            return _Start((), False, set())
    expected = 'an initial state that is zero, "learned" or "projected" in one StackedLSTM, or placeholders'
    return checks.fail(_FUNCTION, expected, tensors[0].name)


def _strip(tensor: tf.Tensor) -> tf.Tensor:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _values(session: tf.Session, names: Any) -> dict[str, np.ndarray]:
    """The values of variables, by the names of their ops."""
    with session.graph.as_default():
        variables = {v.op.name: v for v in tf.global_variables() + tf.local_variables() if v.op.name in names}
    values: dict[str, np.ndarray] = session.run(variables) if variables else {}
    return values


def _other_arrays(session: tf.Session, calls: Sequence[Call], nodes: set[str], start: _Start) -> dict[str, np.ndarray]:
    """The variables that the outputs need, without those of the layers."""
    weights = [t for call in calls for layer in call.layers for t in [*layer.kernels, *layer.biases]]
    own = {name for name, op in _ancestors(weights).items() if op.type in _VARIABLES} | start.variables
    return _values(session, nodes - own)


def _differences(path: str, results: Mapping[str, Any], start: _Start) -> dict[str, float]:
    """How much the results of a file's predictor differ from those of the session."""
    predictor = runtime.load(path, dtype=results["x"].dtype.name)
    states = [tuple(state) for state in results["states"]] if start.is_passed else None
    outputs, final = predictor(results["x"], results.get("lengths"), states, time_major=True)
    pairs = zip([part for state in final for part in state], [part for state in results["state"] for part in state])
    return {
        "outputs": trial.difference(outputs, results["outputs"]),
        "state": max(trial.difference(array, expected) for array, expected in pairs),
    }
