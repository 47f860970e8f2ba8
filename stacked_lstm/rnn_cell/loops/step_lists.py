"""Calls with a list of steps: their checks, and whether they run on an engine."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import EngineUsed
from stacked_lstm.rnn_cell.loops import dispatch


def check_list(inputs: Any) -> None:
    """Raises TypeError unless the inputs are a list or another nest, and ValueError if they are empty."""
    if not tf.nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")


def check_dense(function: str, cell: Any, steps: Any, sequence_length: Any = None, argument: str = "inputs") -> None:
    """Raises ValueError if a list of steps, or the lengths, have a tensor that is not dense.

    Cells of users may take sparse steps. `argument` is the name of the steps.
    """
    if dispatch.is_of_package(cell):
        tensor_checks.dense(steps, function, argument, tensor_checks.RAGGED_STEP)
    tensor_checks.dense(sequence_length, function, "sequence_length")


def check_dtype(initial_state: Any, dtype: Any) -> None:
    """Raises ValueError if there is neither an initial state nor a dtype for zeros."""
    if initial_state is None and not dtype:
        raise ValueError("If no initial_state is provided, dtype must be specified")


def obstacle(
    function: str, cell: Any, inputs: Sequence[Any], initial_state: Any, dtype: Any, engine: str | None
) -> EngineUsed | None:
    """Returns None if a call runs on an engine, and an `EngineUsed` that says why if it runs step by step.

    Args:
      function: str, the name of the caller, for messages.
      cell, inputs, initial_state, dtype, engine: arguments of `static_rnn`.

    Raises:
      ValueError: an unknown engine, or one that was asked for by name and cannot run the call.
    """
    call = dispatch.Call(
        cell,
        inputs=_signature(inputs),
        sequence_length=None,
        initial_state=initial_state,
        dtype=dtype,
        parallel_iterations=None,
        swap_memory=False,
        time_major=True,
        scope=None,
    )
    choice = dispatch.choose(call, engine, function)
    return choice if isinstance(choice, EngineUsed) else None


def _signature(inputs: Sequence[Any]) -> Any:
    """Returns a placeholder with the dtype and the shape of the stacked inputs; the inputs if they cannot be stacked.

    The placeholder is in a graph of its own. A call that runs step by step thus adds TensorFlow's ops and no others,
    and the graph's seed gives TensorFlow's dropout masks.
    """
    steps = list(inputs)
    if not steps or not all(isinstance(step, (tf.Tensor, tf.Variable)) for step in steps):
        return inputs
    shape, dtype = steps[0].shape, steps[0].dtype.base_dtype
    for step in steps:
        if step.dtype.base_dtype != dtype or not step.shape.is_compatible_with(shape):
            return inputs
        shape = shape.merge_with(step.shape)
    with tf.Graph().as_default():
        return tf.placeholder(dtype, tf.TensorShape([len(steps)]).concatenate(shape))
