"""What the `native` engine can run, and how layers become ops."""

from __future__ import annotations

import functools
import itertools
from typing import Any, Sequence

from stacked_lstm import activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import conditions
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.native import library, ops
from stacked_lstm.engines.place import Place
from stacked_lstm.kernels import ACTIVATIONS
from stacked_lstm.lstm import layer_features
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def _named_activations(layers: Sequence[Layer], place: Place) -> str | None:
    del place
    for layer in layers:
        for function in (layer.activation, layer.recurrent_activation):
            if not activations.is_named(function):
                return f"the activation {function.name} is a Python function, not one of the package's"
            if function.name not in ACTIVATIONS:
                return f"it does not have the activation {function.name}"
    return None


def _no_gpu(layers: Sequence[Layer], place: Place) -> str | None:
    del layers
    if place.device_type:  # It is "CPU", because `needs` are checked first.
        return None
    return "there is a GPU" if place.has_gpu else None


def _compiled(layers: Sequence[Layer], place: Place) -> str | None:
    del layers, place
    return library.problem()


def run(
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None = None,
    from_end: bool = False,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers; see `Engine.run_layers`. Successive layers with the same `ops.signature` are one op."""
    finals = []
    for _, group in itertools.groupby(zip(layers, states), lambda entry: ops.signature(entry[0])):
        group_layers, group_states = zip(*group)
        x, group_finals = ops.forward(group_layers, group_states, x, lengths, len(group_layers) if from_end else 0)
        finals += group_finals
    return x, finals


def _one_op(layers: Sequence[Layer], place: Place) -> str | None:
    """All layers can be in one op."""
    del place
    return "the layers differ in more than their sizes" if len(set(map(ops.signature, layers))) > 1 else None


def _run_both(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None, from_end: int
) -> tuple[tf.Tensor, list[LSTMState]]:
    return ops.forward(layers, states, x, lengths, from_end)


ENGINE = Engine(
    "native",
    run,
    needs=(
        conditions.dtypes("float32", "float64"),
        _named_activations,
        conditions.without(layer_features.EQUATION),
        conditions.one_epsilon,
        conditions.device_type("CPU"),
    ),
    prefers=(conditions.in_this_process, conditions.outside_of_functions, _no_gpu),
    ready=(_compiled,),
    run_both=_run_both,
    both_needs=(
        # recurrent_dropout.py makes several calls for some masks, or draws them in calls for one stack.
        conditions.without(
            layer_features.C_MASKS,
            layer_features.H_MASKS,
            layer_features.UNDRAWN_MASKS,
            layer_features.H_MASK,
        ),
        _one_op,
    ),
    run_from_end=functools.partial(run, from_end=True),
    residual_needs=(),
)
