"""A stack of layers over time, forward and backward: the steps of `equations` and `option_equations`."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm.numpy_lstm import checks, option_equations
from stacked_lstm.numpy_lstm.activations import ACTIVATIONS
from stacked_lstm.numpy_lstm.equations import GATES, step, step_backward
from stacked_lstm.numpy_lstm.layer_options import LayerOptions, checked_options
from stacked_lstm.numpy_lstm.option_equations import OptionsCache
from stacked_lstm.state import LSTMState, LSTMSteps

_PLAIN_NAMES = {kind + gate for kind in "Wb" for gate in GATES}


class StackCache(NamedTuple):
    """What `backward` needs from `forward`.

    Fields:
      layers: the arrays of each layer.
      alive: bools [T, B, 1], whether a sequence has a step.
      steps: the caches of the steps of each layer.
      options: a `LayerOptions` per layer.
      output_mask: the mask that multiplied the outputs.
      reset: bools [T, B, 1], whether a sequence starts again before a step.
      reset_states: the states from which sequences start again, per layer; None without resets.
    """

    layers: list[dict[str, np.ndarray]]
    alive: np.ndarray
    steps: list[list[Any]]
    options: list[LayerOptions]
    output_mask: Any
    reset: np.ndarray
    reset_states: list[LSTMState] | None


def forward(
    layers: Sequence[Mapping[str, Any]],
    x: Any,
    initial_state: Any = None,
    sequence_length: Any = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    options: Sequence[LayerOptions] | None = None,
    output_mask: Any = 1.0,
    reset: Any = None,
    reset_states: Any = None,
) -> tuple[np.ndarray, list[LSTMState], StackCache]:
    """Runs the whole stack over time.

    Args:
      layers: a mapping per layer, from the input upwards, with the arrays that `step` describes. A layer may also have
        peepholes pf, pi and po, [H] each; a projection Wp [H, P]; layer normalization gain_f, gain_i, gain_o, gain_c,
        gain_cell and shift_cell, [H] each, the last one only with biases. With Wp, h and the output of the layer have
        the width P, and Wf, Wi, Wo and Wc are [P + I, H].
      x: [T, B, I]. What it holds past the end of a sequence changes nothing.
      initial_state: a pair (c [B, H_l], h [B, P_l]) per layer. Default None: zeros.
      sequence_length: [B] integers from 0 to T. Default None: all sequences have T steps.
      activation: phi, see `step`; by default "tanh".
      recurrent_activation: s, see `step`; by default "sigmoid".
      options: a `LayerOptions` per layer, with its masks, clips and so on. Default None: no layer has any.
      output_mask: [T, B, P_L] or what broadcasts with it, multiplies the outputs. Default 1.0.
      reset: [T, B] bools, whether a sequence starts again before a step. `reset_states` then replace its state. Resets
        past the end of a sequence change nothing. Default None: no sequence starts again.
      reset_states: the states from which sequences start again: a pair (c [B, H_l], h [B, P_l]) per layer, or pairs
        (c [T, B, H_l], h [T, B, P_l]) with a state for each step. Default None: zeros.

    Returns:
      (outputs, state, cache), in float64. The outputs are the last layer's h, [T, B, P_L], zero past the end of each
      sequence. The state is a list of one `LSTMState` per layer, at the end of each sequence. The cache is for
      `backward`.

    Raises:
      ValueError: an unknown activation, or shapes or lengths that do not fit.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> random = np.random.RandomState(0)
      >>> layer = {"W" + k: random.standard_normal([3 + 2, 3]) for k in "fioc"}  # H = 3, I = 2, without biases
      >>> x = random.standard_normal([6, 4, 2])
      >>> outputs, state, cache = numpy_lstm.forward([layer], x, sequence_length=[6, 0, 1, 4])
      >>> print(outputs.shape, state[0].c.shape, outputs[1:, 2].any())  # the third sequence has one step
      (6, 4, 3) (4, 3) False
    """
    for argument, name in (("activation", activation), ("recurrent_activation", recurrent_activation)):
        checks.known(ACTIVATIONS, name, "forward", argument)
    x = checks.sequences(x, "forward")
    layers = checks.layers(layers, x.shape[2], "forward")
    states = checks.states(initial_state, layers, x.shape[1], "forward", "initial_state")
    alive = checks.alive(sequence_length, x.shape[0], x.shape[1], "forward")
    all_options = checked_options(options, layers, x.shape, "forward")
    output_mask = checks.broadcastable(
        output_mask, x.shape[:2] + checks.widths(layers[-1])[1:], "forward", "output_mask"
    )
    flags, restarts = checks.resets(reset, reset_states, layers, alive, "forward")
    outputs, state, steps = np.where(alive, x, 0), [], []
    for layer, start, layer_options, restart in zip(layers, states, all_options, restarts):
        inputs, functions = outputs, (activation, recurrent_activation)
        x = inputs * layer_options.input_mask
        outputs, final, caches = _layer_forward(layer, x, start, alive, *functions, layer_options, flags, restart)
        outputs = outputs + inputs if layer_options.residual else outputs
        state.append(final)
        steps.append(caches)
    cache = StackCache(layers, alive, steps, all_options, output_mask, flags, None if reset is None else restarts)
    return outputs * output_mask, state, cache


def backward(d_outputs: Any, d_state: Any, cache: StackCache) -> dict[str, Any]:
    """Computes the gradient of `forward`, by backpropagation through all its steps.

    Args:
      d_outputs: gradient of the outputs, [T, B, P_L]; None for zeros. What it holds past the end of a sequence does not
        count.
      d_state: gradients of the final state, a pair (c [B, H_l], h [B, P_l]) per layer; None for zeros.
      cache: the cache that `forward` returned.

    Returns:
      A dictionary named and shaped as `forward`'s arguments: "layers", a list of dictionaries; "x", [T, B, I];
      "initial_state", a list of `LSTMState`; and, with resets, "reset_states", a list of `LSTMState`.

    Raises:
      ValueError: shapes that do not fit.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> random = np.random.RandomState(0)
      >>> layer, x = {"W" + k: random.standard_normal([3 + 2, 3]) for k in "fioc"}, random.standard_normal([6, 4, 2])
      >>> def loss(change):  # with another entry Wf[1, 2]
      ...     changed = dict(layer, Wf=layer["Wf"] + change * np.eye(5)[:, 1:2] * np.eye(3)[2])
      ...     return np.sum(numpy_lstm.forward([changed], x)[0] ** 2) / 2
      >>> outputs, state, cache = numpy_lstm.forward([layer], x)
      >>> gradient = numpy_lstm.backward(outputs, None, cache)["layers"][0]["Wf"]
      >>> print(abs(gradient[1, 2] - (loss(1e-5) - loss(-1e-5)) / 2e-5) < 1e-8)  # a central difference
      True
    """
    layers, alive, steps, options, output_mask, reset, reset_states = cache
    shape = alive.shape[:2] + checks.widths(layers[-1])[1:]
    d_outputs = np.zeros(shape) if d_outputs is None else checks.shaped(d_outputs, shape, "backward", "d_outputs")
    d_outputs = np.where(alive, d_outputs, 0) * output_mask
    d_states = checks.states(d_state, layers, shape[1], "backward", "d_state")
    d_layers: list[Any] = [None] * len(layers)
    d_start: list[Any] = [None] * len(layers)
    d_restarts: list[Any] = [None] * len(layers)
    for k in reversed(range(len(layers))):
        d_layers[k], d_inputs, d_start[k], d_steps = _layer_backward(
            layers[k], d_outputs, d_states[k], alive, steps[k], reset
        )
        if reset_states is not None:  # A state without a time axis is that of all steps.
            pairs = zip(d_steps, reset_states[k])
            d_restarts[k] = LSTMState(*[d if value.ndim == 3 else np.sum(d, axis=0) for d, value in pairs])
        d_outputs = d_inputs * options[k].input_mask + (d_outputs if options[k].residual else 0)
    gradients = {"layers": d_layers, "x": d_outputs, "initial_state": d_start}
    return gradients if reset_states is None else dict(gradients, reset_states=d_restarts)


def steps(cache: StackCache) -> list[LSTMSteps]:
    """Returns the states and gates of all time steps of `forward`.

    Args:
      cache: the cache that `forward` returned.

    Returns:
      A list with an `LSTMSteps(c, h, f, i, o, g)` per layer, [T, B, H_l] each, h [T, B, P_l], in float64 and zero past
      the end of each sequence.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> layer = {"W" + k: np.ones([3 + 2, 3]) for k in "fioc"}  # H = 3, I = 2, without biases
      >>> outputs, state, cache = numpy_lstm.forward([layer], np.ones([2, 1, 2]))
      >>> (layer_steps,) = numpy_lstm.steps(cache)
      >>> print(np.array_equal(layer_steps.c[-1], state[0].c), layer_steps.f[0].round(2))  # sigmoid(2)
      True [[0.88 0.88 0.88]]
    """
    result = []
    for layer, caches in zip(cache.layers, cache.steps):
        hidden_size, output_size = checks.widths(layer)
        sizes = dict.fromkeys(LSTMSteps._fields, hidden_size)
        sizes["h"] = output_size
        series = LSTMSteps(*[np.zeros(cache.alive.shape[:2] + (size,)) for size in sizes.values()])
        for t, step_cache in enumerate(caches):
            for part, value in zip(series, step_cache.values()):
                part[t] = np.where(cache.alive[t], value, 0)
        result.append(series)
    return result


def _layer_forward(
    layer: dict[str, np.ndarray],
    x: np.ndarray,
    state: LSTMState,
    alive: np.ndarray,
    activation: str,
    recurrent_activation: str,
    options: LayerOptions,
    reset: np.ndarray,
    restart: LSTMState,
) -> tuple[np.ndarray, LSTMState, list[Any]]:
    """Runs one layer over time; returns (outputs [T, B, P], final state, the caches of the steps)."""
    is_plain = set(layer) <= _PLAIN_NAMES and not options.change_the_step()
    outputs, caches = np.zeros(x.shape[:2] + state.h.shape[1:]), []
    for t, alive_t in enumerate(alive):
        starts = [value[t] if value.ndim == 3 else value for value in restart]
        state = LSTMState(*[np.where(reset[t], start, old) for start, old in zip(starts, state)])
        # A sequence that has ended takes its steps from zeros, so that nothing in them can overflow.
        before = [np.where(alive_t, part, 0) for part in state]
        after, cache = (
            step(layer, x[t], before, activation, recurrent_activation)
            if is_plain
            else option_equations.step(layer, x[t], before, activation, recurrent_activation, options.at(t))
        )
        state = LSTMState(*[np.where(alive_t, new, old) for new, old in zip(after, state)])
        outputs[t] = np.where(alive_t, after.h, 0)
        caches.append(cache)
    return outputs, state, caches


def _layer_backward(
    layer: dict[str, np.ndarray],
    d_outputs: np.ndarray,
    d_state: LSTMState,
    alive: np.ndarray,
    caches: list[Any],
    reset: np.ndarray,
) -> tuple[dict[str, np.ndarray], np.ndarray, LSTMState, LSTMState]:
    """Undoes `_layer_forward`.

    Returns:
      The gradients of the layer, of x, of the state before the first step, and of the states from which resets start,
      c [T, B, H] and h [T, B, P].
    """
    d_x = np.zeros(d_outputs.shape[:2] + (layer["Wf"].shape[0] - d_state.h.shape[1],))
    d_restart = LSTMState(*[np.zeros(alive.shape[:1] + d.shape) for d in d_state])
    gradients = {name: np.zeros_like(value) for name, value in layer.items()}
    for t, alive_t in reversed(list(enumerate(alive))):
        d_after = [np.where(alive_t, d, 0) for d in (d_state.c, d_state.h + d_outputs[t])]
        undo = option_equations.step_backward if isinstance(caches[t], OptionsCache) else step_backward
        step_gradients, d_x[t], d_before = undo(d_after, caches[t])
        for name, gradient in step_gradients.items():
            gradients[name] += gradient
        d_state = LSTMState(*[np.where(alive_t, before, d) for before, d in zip(d_before, d_state)])
        for d_steps, d in zip(d_restart, d_state):
            d_steps[t] = np.where(reset[t], d, 0)
        d_state = LSTMState(*[np.where(reset[t], 0, d) for d in d_state])
    return gradients, d_x, d_state, d_restart
