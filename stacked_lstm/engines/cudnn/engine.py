"""Layers on cuDNN: when the engine runs, and how it splits a stack into calls.

Successive layers of one width are one call. Two layers of one width that read in opposite directions are one call, too.
Calls without lengths are the op of compiled_op.py, if this process can use it. Other calls, and graphs for other
machines, are TensorFlow's op.
"""

from __future__ import annotations

import itertools
from typing import Any, Sequence

from stacked_lstm import activations, log, tf32
from stacked_lstm.compat import tf
from stacked_lstm.engines import conditions
from stacked_lstm.engines.cudnn import compiled_op, library, tensorflow_op
from stacked_lstm.engines.cudnn.buffer import ACTIVATION, RECURRENT_ACTIVATION
from stacked_lstm.engines.cudnn.group import BIDIRECTIONAL, Group
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.place import Place
from stacked_lstm.lstm import layer_features
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def _tanh_and_sigmoid(layers: Sequence[Layer], place: Place) -> str | None:
    del place
    for layer in layers:
        if layer.activation is not activations.ACTIVATIONS[ACTIVATION]:
            return f"cuDNN's activation is {ACTIVATION}, not {layer.activation.name}"
        if layer.recurrent_activation is not activations.ACTIVATIONS[RECURRENT_ACTIVATION]:
            return f"cuDNN's recurrent_activation is {RECURRENT_ACTIVATION}, not {layer.recurrent_activation.name}"
    return None


def _projections(layers: Sequence[Layer], place: Place) -> str | None:
    """Projections have fewer columns than units, and run on the compiled op. TensorFlow's failed in a test."""
    projected = [layer for layer in layers if layer.extras.projection is not None]
    for layer in projected:
        if layer.output_size >= layer.hidden_size:
            sizes = f"from {layer.hidden_size} units to {layer.output_size}"
            return f"cuDNN's projection has fewer columns than there are units, and this one goes {sizes}"
    problem = projected and (_compiled_op_objection(layers, place) or library.problem())
    return f"a projection needs the package's op for cuDNN, and {problem}" if problem else None


def _compiled_op_objection(layers: Sequence[Layer], place: Place) -> str | None:
    """Why the compiled op is not for the layers, even if this machine can build it."""
    if place.has_lengths:
        return "that takes no lengths"
    if compiled_op.algorithm() == compiled_op.TENSORFLOW:
        return f"{compiled_op.ENVIRONMENT_VARIABLE} is {compiled_op.TENSORFLOW}"
    return conditions.in_this_process(layers, place) or _gpu_visible(layers, place)


def _not_rocm(layers: Sequence[Layer], place: Place) -> str | None:
    del layers, place
    return "AMD's library arranges weights in another way" if tf.test.is_built_with_rocm() else None


def _with_cuda(layers: Sequence[Layer], place: Place) -> str | None:
    del layers, place
    return None if tf.test.is_built_with_cuda() else "this TensorFlow is built without CUDA"


def _gpu_visible(layers: Sequence[Layer], place: Place) -> str | None:
    del layers
    return None if place.has_gpu else "there is no GPU"


def run(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None = None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers; see `Engine.run_layers`."""
    groups = []
    for _, pairs in itertools.groupby(zip(layers, states), lambda pair: (pair[0].hidden_size, pair[0].output_size)):
        group_layers, group_states = zip(*pairs)
        groups.append(Group(group_layers, group_states))
    return _run_groups(groups, x, lengths)


def _run_both(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None, from_end: int
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs a layer for each direction; see `Engine.run_both`."""
    del from_end
    return _run_groups([Group(layers, states, BIDIRECTIONAL)], x, lengths)


def _run_groups(groups: Sequence[Group], x: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, list[LSTMState]]:
    layers = [layer for group in groups for layer in group.layers]
    place = Place(has_lengths=lengths is not None)
    tf32.off_unless_asked_for()
    _warn_without_gpu(layers, place)
    if _compiled_op_objection(layers, place) is None:
        problem = library.problem()
        if problem is None:
            return compiled_op.run(groups, x)
        log.warn_once(
            "the engine 'cudnn' uses TensorFlow's op, which has only the standard algorithm, because the package's op "
            f"cannot run: {problem}"
        )
    return tensorflow_op.run(groups, x, lengths)


def _one_layer_per_direction(layers: Sequence[Layer], place: Place) -> str | None:
    """Each direction has one layer. cuDNN's bidirectional stack of several layers is not two stacks side by side."""
    del place
    return None if len(layers) == 2 else "an upper layer of cuDNN reads both directions of the layer below"


def _equal_sizes(layers: Sequence[Layer], place: Place) -> str | None:
    del place
    sizes = {(layer.hidden_size, layer.output_size) for layer in layers}
    return "the layers of both directions have different sizes" if len(sizes) > 1 else None


def _standard_algorithm(layers: Sequence[Layer], place: Place) -> str | None:
    """The layers run on the standard algorithm.

    Separate calls may run on a persistent algorithm, which is several times as fast. It is not tested on a GPU whether
    cuDNN has these algorithms for both directions in one call.
    """
    if _compiled_op_objection(layers, place) or not compiled_op.may_be_persistent(layers) or library.problem():
        return None  # TensorFlow's op has only the standard algorithm.
    return "each direction may run on a persistent algorithm"


def _warn_without_gpu(layers: Sequence[Layer], place: Place) -> None:
    """Logs once that this process cannot run the graph. A program may build it for another one."""
    if conditions.in_this_process(layers, place) is None and not place.has_gpu:
        log.warn_once(
            "the engine 'cudnn' was asked for by name, but this process sees no GPU; a session without a GPU cannot "
            "run this graph, which needs engine='native' or engine='graph' there"
        )


# A graph may be built where no GPU is, so a visible GPU is a preference. It comes last because asking starts CUDA.
ENGINE = Engine(
    "cudnn",
    run,
    needs=(
        conditions.dtypes("float16", "float32", "float64"),
        _tanh_and_sigmoid,
        # recurrent_dropout.py multiplies by the mask, and sums between calls are the residual connections.
        conditions.only(layer_features.PROJECTION, layer_features.H_MASK, layer_features.RESIDUAL),
        conditions.device_type("GPU"),
        _not_rocm,
        _projections,
    ),
    prefers=(conditions.in_this_process, conditions.outside_of_functions, _with_cuda, _gpu_visible),
    run_both=_run_both,
    both_needs=(conditions.without(layer_features.H_MASK), _one_layer_per_direction, _equal_sizes, _standard_algorithm),
)
