"""The nodes of an ONNX model and what is constant in it, also in the bodies of If, Loop and Scan nodes.

Exporters let weights pass through nodes such as Slice, Concat and Unsqueeze, and may compute the places where to slice.
If the inputs of such nodes are constants, so are their outputs. Nothing here recurses, and no node is visited twice.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.limits import Budget

# Ops that move numbers; they make no more of them than they get.
MOVES = ("Cast", "Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
# Ops by which exporters compute shapes and indices.
_ARITHMETIC = ("Add", "Div", "Mul", "Sub")
_INDEX_OPS = ("ConstantOfShape", "Expand", "Gather", "Shape") + _ARITHMETIC
_MOST_INDICES = 2**12  # Numbers that one of these ops may make, or have as an input.
DOMAINS = ("", "ai.onnx")
_WITH_BODIES = (5, 10)  # Types of attributes: GRAPH, GRAPHS.


class Scope(NamedTuple):
    """The main graph of a model, or a body.

    Fields:
      path: the node and the attribute of every body on the way, e.g. "If_0/then_branch/"; empty for the main graph.
      graph: the GraphProto.
      outer: the scope whose tensors the body also sees; None for the main graph.
      producers: name of a tensor -> the node that makes it.
      tensors: name of an initializer -> its TensorProto.
      inputs: name of an input of the graph -> its number.
      node: the node of the body; None for the main graph.
    """

    path: str
    graph: Any
    outer: Any
    producers: dict[str, Any]
    tensors: dict[str, Any]
    inputs: dict[str, int]
    node: Any


def _scope(path: str, graph: Any, outer: Scope | None, node: Any) -> Scope:
    producers = {name: node for node in graph.node for name in node.output if name}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name: k for k, value in enumerate(graph.input)}
    return Scope(path, graph, outer, producers, tensors, inputs, node)


class Model:
    """A model that was read; it must have passed ONNX's checker, so that no node depends on itself."""

    def __init__(self, onnx: Any, proto: Any, budget: Budget) -> None:
        """Finds the nodes and the graphs.

        Args:
          onnx: the package.
          proto: the ModelProto.
          budget: the bytes that constants may take.
        """
        self._budget = budget
        self.onnx = onnx
        self.proto = proto
        self.scopes: list[Scope] = []
        self.bodies: dict[int, list[Scope]] = {}  # id of a node -> the scopes of its bodies.
        self.nodes: list[tuple[Scope, Any]] = list(self._walk())
        self._constants: dict[tuple[str, str], np.ndarray | str] = {}

    def _walk(self) -> Iterator[tuple[Scope, Any]]:
        """All nodes in order; those in the bodies of a node come before the node itself."""
        self.scopes.append(_scope("", self.proto.graph, None, None))
        paths = {""}
        stack: list[tuple[Scope, Iterator[Any], Any]] = [(self.scopes[0], iter(self.proto.graph.node), None)]
        while stack:
            scope, nodes, owner = stack[-1]
            node = next(nodes, None)
            if node is None:
                stack.pop()
                if owner is not None and not (stack and stack[-1][2] is owner):
                    yield scope.outer, owner
                continue
            bodies = [(attribute.name, graph) for attribute in node.attribute for graph in _graphs(attribute)]
            for name, graph in reversed(bodies):
                path = f"{scope.path}{node.name or node.output[0]}/{name}/"
                path = path if path not in paths else f"{path[:-1]}_{len(paths)}/"
                paths.add(path)
                self.scopes.append(_scope(path, graph, scope, node))
                self.bodies.setdefault(id(node), []).append(self.scopes[-1])
                stack.append((self.scopes[-1], iter(graph.node), node))
            if not bodies:
                yield scope, node

    def tensors(self) -> list[Any]:
        """The TensorProto of every initializer, and of every attribute that is one."""
        tensors = [tensor for scope in self.scopes for tensor in scope.graph.initializer]
        for _, node in self.nodes:
            for attribute in node.attribute:
                tensors += [attribute.t] * attribute.HasField("t") + list(attribute.tensors)
        return tensors

    def initializers(self) -> dict[str, np.ndarray]:
        """Name of an initializer, with the path of its scope -> array."""
        to_array = self.onnx.numpy_helper.to_array
        return {scope.path + name: to_array(tensor) for scope in self.scopes for name, tensor in scope.tensors.items()}

    def constants(self) -> dict[str, np.ndarray]:
        """Name of a tensor that `constant` was asked for, with the path of its scope -> array."""
        pairs = self._constants.items()
        return {path + name: array for (path, name), array in pairs if not isinstance(array, str)}

    def with_constants(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """A copy of the ModelProto with other constants.

        Args:
          arrays: name, with the path of the scope -> array. Nodes that made such a tensor from others are left out.
        """
        copy = Model(self.onnx, deepcopy(self.proto), self._budget)
        constants = {**self.initializers(), **self.constants()}
        for scope in copy.scopes:
            for name, array in arrays.items():
                local = name[len(scope.path) :]
                if not name.startswith(scope.path) or files.same_bits(constants[name], array):
                    continue
                tensor = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), local)
                if local in scope.tensors:
                    scope.tensors[local].CopyFrom(tensor)
                elif local in scope.producers:
                    node = scope.producers[local]
                    place = next(k for k, other in enumerate(scope.graph.node) if other is node)
                    node.output[list(node.output).index(local)] = local + "_replaced"
                    scope.graph.node.insert(place, self.onnx.helper.make_node("Constant", [], [local], value=tensor))
        return copy.proto

    def owner(self, scope: Scope, name: str) -> Scope:
        """The scope that defines the tensor with a name that `scope` sees; raises ValueError if none does."""
        inner: Scope | None = scope
        while inner is not None and not any(name in names for names in (inner.producers, inner.tensors, inner.inputs)):
            inner = inner.outer
        if inner is None:
            raise ValueError(f"a tensor {name!r} that nothing makes")
        return inner

    def producer(self, scope: Scope, name: str) -> tuple[Scope, Any]:
        """The scope of a tensor, and the node that makes it; None for inputs and initializers."""
        owner = self.owner(scope, name)
        return owner, owner.producers.get(name)

    def constant(self, scope: Scope, name: str) -> np.ndarray | str:
        """What a tensor always holds.

        Args:
          scope: a graph.
          name: name of a tensor there.

        Returns:
          The array; or a text that tells what makes the tensor at run time, e.g. "Mul (node 'scale')".
        """
        stack = [(scope, name)]
        while stack:
            place, tensor = stack[-1]
            owner = self.owner(place, tensor)
            key = (owner.path, tensor)
            if key not in self._constants:
                missing = self._missing_inputs(owner, tensor)
                if missing:
                    stack += missing
                    continue
                self._constants[key] = self._evaluate(owner, tensor)
            if len(stack) == 1:
                return self._constants[key]
            stack.pop()
        raise AssertionError

    def _missing_inputs(self, owner: Scope, name: str) -> list[tuple[Scope, str]]:
        """The inputs of the node that makes a tensor, if it moves numbers and they are not yet evaluated."""
        node = owner.producers.get(name)
        if node is None or node.op_type not in MOVES + _INDEX_OPS:
            return []
        sources = [(self.owner(owner, source), source) for source in node.input if source]
        return [(place, source) for place, source in sources if (place.path, source) not in self._constants]

    def _evaluate(self, owner: Scope, name: str) -> np.ndarray | str:
        if name in owner.tensors:
            return self.onnx.numpy_helper.to_array(owner.tensors[name])
        if name in owner.inputs:
            return f"the input {name}"
        node = owner.producers[name]
        text = describe(node)
        if node.op_type not in MOVES + _INDEX_OPS + ("Constant",) or node.domain not in DOMAINS:
            return text
        inputs: dict[str, np.ndarray] = {}
        for source in filter(None, node.input):
            value = self.constant(owner, source)
            if isinstance(value, str):
                return value if node.op_type in MOVES else text
            inputs[source] = value
        if node.op_type in _INDEX_OPS and not _makes_indices(node, list(inputs.values())):
            return text
        if node.op_type == "Identity":
            return inputs[node.input[0]]
        indices = _MOST_INDICES if node.op_type in _INDEX_OPS else 0
        self._budget.spend(8 * indices + sum([array.nbytes for array in inputs.values()]), node.output[0])
        return self._run(node, inputs)[list(node.output).index(name)]

    def _run(self, node: Any, inputs: dict[str, Any]) -> list[np.ndarray]:
        """The outputs of a node, from ONNX's own evaluator, which knows what each version of an op means."""
        from onnx import reference

        helper = self.onnx.helper
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in inputs.items()
        ]
        outputs = [helper.make_tensor_value_info(name, 0, None) for name in node.output]
        graph = helper.make_graph([node], "node", infos, outputs)
        model = helper.make_model(graph, opset_imports=self.proto.opset_import)
        return [np.asarray(array) for array in reference.ReferenceEvaluator(model).run(None, inputs)]


def _makes_indices(node: Any, arrays: Sequence[np.ndarray]) -> bool:
    """Whether an op of `_INDEX_OPS` makes few numbers and, except for Shape, gets few."""
    if node.op_type == "Shape":
        return True
    if node.op_type in _ARITHMETIC and any(array.dtype.kind not in "iu" for array in arrays):
        return False
    shape = {"ConstantOfShape": arrays[0], "Expand": arrays[-1]}.get(node.op_type, ())
    sizes = [float(array.size) for array in arrays]
    return bool(np.prod(np.asarray(shape, np.float64)) * np.prod(sizes) <= _MOST_INDICES)


def _graphs(attribute: Any) -> list[Any]:
    if attribute.type not in _WITH_BODIES:
        return []
    return [attribute.g] if attribute.type == _WITH_BODIES[0] else list(attribute.graphs)


def describe(node: Any) -> str:
    """A node as messages name it."""
    return f"{node.op_type} (node {node.name or node.output[0]!r})"


def attributes(onnx: Any, node: Any) -> dict[str, Any]:
    """Name -> value of a node's attributes, with texts as str."""
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [_text(item) for item in value] if isinstance(value, (list, tuple)) else value
