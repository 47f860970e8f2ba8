"""Checks of the loops that tensors are dense.

Cells of users may read sparse steps and have sparse states, because TensorFlow's loops run such cells.
"""

from __future__ import annotations

from typing import Any

from stacked_lstm import tensor_checks
from stacked_lstm.rnn_cell.loops import dispatch


def check_series(function: str, inputs: Any, sequence_length: Any, time_major: bool) -> None:
    """Raises ValueError if the inputs [B, T, I], or [T, B, I] if `time_major`, or the lengths are not dense."""
    tensor_checks.dense(inputs, function, "inputs", tensor_checks.ragged_series(time_major))
    tensor_checks.dense(sequence_length, function, "sequence_length")


def check_steps(function: str, cell: Any, steps: Any, sequence_length: Any = None, argument: str = "inputs") -> None:
    """Raises ValueError if the lengths, or the steps [B, I] of a cell of this package, are not dense.

    `argument` is the name of the steps.
    """
    if dispatch.is_of_package(cell):
        tensor_checks.dense(steps, function, argument, tensor_checks.RAGGED_STEP)
    tensor_checks.dense(sequence_length, function, "sequence_length")


def check_state(function: str, cell: Any, state: Any, argument: str = "initial_state") -> None:
    """Raises ValueError if the state of a cell of this package is not dense. `argument` is the name of the state."""
    if dispatch.is_of_package(cell):
        tensor_checks.dense(state, function, argument)
