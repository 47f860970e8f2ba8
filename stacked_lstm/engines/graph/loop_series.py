"""A loop over time, and its series: how a step reads and writes an entry, and which sequences a step changes."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.lstm import equations
from stacked_lstm.state import LSTMState

# How many steps may be in flight at once; dynamic_rnn's default.
_PARALLEL_ITERATIONS = 32


def loop_over_steps(
    body: Callable,
    start: Any,
    condition: Callable,
    variables: Any,
    step: int = 1,
    maximum: int | tf.Tensor | None = None,
) -> Any:
    """Runs a `tf.while_loop` over a step counter; returns the final `variables`.

    TensorFlow can differentiate the loop if `maximum`, the largest number of steps, is given. XLA needs an int.
    """
    _, variables = tf.while_loop(
        lambda t, _: condition(t),
        lambda t, loop_variables: (t + step, body(t, loop_variables)),
        (start, variables),
        parallel_iterations=_PARALLEL_ITERATIONS,
        back_prop=maximum is not None,
        maximum_iterations=maximum if isinstance(maximum, int) else None,
    )
    return variables


def step_count(series: tf.Tensor) -> int | tf.Tensor:
    """T of a series [T, B, N]: an int if it is known, else an int32 scalar."""
    steps = series.shape.with_rank(3).as_list()[0]
    return tf.shape(series)[0] if steps is None else steps


def reader(series: tf.Tensor, back_prop: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function t -> series[t].

    Slicing [t] off a tensor shares its memory, but has a costly gradient: one [T, B, N] tensor per step.
    """
    return unstack(series).read if back_prop else lambda t: series[t]


def at_least_one(steps: int | tf.Tensor) -> int | tf.Tensor:
    """The number of steps of a loop that TensorFlow differentiates.

    Its gradient stacks arrays of this size, and TensorFlow cannot stack an array without entries.
    """
    return max(steps, 1) if isinstance(steps, int) else tf.maximum(steps, 1)


def unstack(series: tf.Tensor) -> tf.TensorArray:
    """A TensorArray of the entries of a series [T, ...]. If there are none, it has one of zeros; see `at_least_one`."""
    steps = None if series.shape.ndims is None else series.shape.as_list()[0]
    if not steps:
        steps = tf.shape(series)[0]
        is_empty = tf.reshape(tf.cast(tf.equal(steps, 0), tf.int32), [1, 1])
        series = tf.pad(series, tf.pad(is_empty, [[0, tf.rank(series) - 1], [1, 0]]))  # Copies nothing if not empty.
    return tf.TensorArray(series.dtype, at_least_one(steps)).unstack(series)


def entry_array(size: int | tf.Tensor, entry: tf.Tensor, width: int | None = None) -> tf.TensorArray:
    """A TensorArray for entries like `entry` [B, H], or of another width. Two gradients may read it."""
    shape = entry.shape if width is None else [entry.shape.as_list()[0], width]
    return tf.TensorArray(entry.dtype, size=size, element_shape=shape, clear_after_read=False)


def array_with_last(steps: tf.Tensor, entry: tf.Tensor, width: int) -> tf.TensorArray:
    """A TensorArray of T + 1 entries, whose last one is zero. TensorFlow cannot stack an array without entries."""
    return entry_array(steps + 1, entry, width).write(steps, tf.zeros([tf.shape(entry)[0], width], entry.dtype))


def state_array(initial: tf.Tensor, steps: int | tf.Tensor) -> tf.TensorArray:
    """A TensorArray of T + 1 entries, whose first one is the initial state."""
    return entry_array(steps + 1, initial).write(0, initial)


def mask_at_step(t: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor | None:
    """Bool [B]: whether each sequence has a step t; None if all have."""
    return None if lengths is None else t < lengths


def select(mask: tf.Tensor | None, value: tf.Tensor, alternative: tf.Tensor) -> tf.Tensor:
    """Selects each row from `value` if the mask is True, else from `alternative`."""
    return value if mask is None else tf.where(mask, value, alternative)


def select_state(mask: tf.Tensor | None, state: LSTMState, alternative: LSTMState) -> LSTMState:
    """`select` for c and h. The result has the static shapes of `alternative`, as loop variables must keep them."""
    c, h = select(mask, state.c, alternative.c), select(mask, state.h, alternative.h)
    c.set_shape(alternative.c.shape)
    h.set_shape(alternative.h.shape)
    return LSTMState(c, h)


def noise_at_step(noise: equations.Noise, back_prop: bool) -> Callable[[tf.Tensor], equations.Noise]:
    """Returns the function t -> `equations.Noise` of step t."""
    reads = [_entry_reader(value, back_prop) for value in noise]
    return lambda t: equations.Noise(*[read(t) for read in reads])


def _entry_reader(value: Any, back_prop: bool) -> Callable[[tf.Tensor], Any]:
    """Returns the function t -> entry t of a series; any other value is the same for all steps."""
    return reader(value, back_prop) if equations.is_series(value) else lambda t: value


def restart_at_step(resets: equations.Resets | None) -> Callable[[tf.Tensor, LSTMState], LSTMState]:
    """Returns the function (t, state) -> the state before step t, which is the start for sequences that are reset."""
    if resets is None:
        return lambda t, state: state
    read_flags = unstack(resets.is_reset).read
    read_c, read_h = (_entry_reader(part, back_prop=True) for part in resets.start)
    return lambda t, state: select_state(read_flags(t), LSTMState(read_c(t), read_h(t)), state)
