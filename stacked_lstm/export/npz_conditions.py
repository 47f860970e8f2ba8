"""Whether the layers of a graph are one stack that `stacked_lstm.runtime` computes."""

from __future__ import annotations

from typing import Sequence

from stacked_lstm import activations, checks
from stacked_lstm.compat import tf
from stacked_lstm.engines.calls import Call
from stacked_lstm.kernels import ACTIVATIONS
from stacked_lstm.lstm import layer_features
from stacked_lstm.lstm.layer import Layer

_FUNCTION = "export.npz"


def check(calls: Sequence[Call], nodes: set[str]) -> None:
    """Raises ValueError unless the layers are one stack that the runtime computes."""
    if not calls:
        checks.fail(_FUNCTION, "`outputs` that need LSTM layers", "none that this process has built on an engine")
    for call in calls:
        if call.from_end:
            actual = "layers that read in both directions" if len(call.layers) > call.from_end else "a backward stack"
            checks.fail(_FUNCTION, "one stack that reads from the start", actual)
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
        problems = layer_features.present([layer], layer_features.FEATURES)
        if not all(map(_has_name, _functions(layer))):
            problems.append(f"other activations than {', '.join(ACTIVATIONS)}")
        if layer.dtype not in (tf.float32, tf.float64):
            problems.append("weights of another dtype than float32 and float64")
        if problems:
            actual = f"{' and '.join(problems)} in layer {number}"
            checks.fail(_FUNCTION, "layers that stacked_lstm.runtime computes", actual)
    forms = {(*[function.name for function in _functions(layer)], bool(layer.biases)) for layer in layers}
    if len(forms) > 1:
        checks.fail(_FUNCTION, "layers with the same activations, and all with biases or all without", "different ones")


def _functions(layer: Layer) -> tuple[activations.Activation, activations.Activation]:
    return layer.activation, layer.recurrent_activation


def _has_name(function: activations.Activation) -> bool:
    return activations.is_named(function) and function.name in ACTIVATIONS


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
