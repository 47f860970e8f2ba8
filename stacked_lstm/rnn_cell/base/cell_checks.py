"""Checks of the arguments of cells and of the inputs of a step."""

from __future__ import annotations

from typing import Any

from stacked_lstm import checks, tensor_checks
from stacked_lstm.compat import tf


def check_floating(dtype: Any, what: str = "inputs") -> None:
    """Raises ValueError unless the dtype, that of `what`, is floating or complex."""
    dtype = tf.as_dtype(dtype)
    if not (dtype.is_floating or dtype.is_complex):
        raise ValueError(f"RNN cell only supports floating point {what}, but saw dtype: {dtype.name}")


def check_units(num_units: Any, function: str, argument: str = "num_units") -> Any:
    """Returns a size; raises ValueError unless it is a positive integer, or such a dimension of a shape."""
    size = _integer(num_units)
    if size is not None and size > 0:
        return num_units
    return checks.fail(function, f"`{argument}` to be a positive integer", checks.describe(num_units))


def check_projection(num_proj: Any, function: str) -> Any:
    """Returns `num_proj`; raises ValueError unless it is None, 0 for no projection, or a positive integer."""
    size = _integer(num_proj)
    if num_proj is None or (size is not None and size >= 0):
        return num_proj
    return checks.fail(function, "`num_proj` to be None, 0 or a positive integer", checks.describe(num_proj))


def _integer(size: Any) -> int | None:
    """Returns an integer, or a dimension of a shape, as an int; None if it is something else."""
    return size.__index__() if hasattr(size, "__index__") else None


def check_keep_prob(keep_prob: Any, function: str, argument: str) -> Any:
    """Returns a keep probability; raises ValueError if it is a number that is not between 0 and 1, or no number."""
    if hasattr(keep_prob, "dtype") or (checks.is_number(keep_prob) and 0 <= keep_prob <= 1):
        return keep_prob
    expected = f"`{argument}` to be a number between 0 and 1, or a scalar tensor"
    return checks.fail(function, expected, checks.describe(keep_prob))


def check_no_class(cell: Any, argument: str) -> None:
    """Raises TypeError if the object is a class of cells, which has all their attributes."""
    if isinstance(cell, type):
        raise TypeError(f"The argument {argument!r} is not an RNNCell, but a class: write {cell.__name__}(...).")


def input_width(inputs_shape: Any) -> int:
    """Returns I of a shape [B, I]; raises ValueError if it is unknown."""
    width = tf.TensorShape(inputs_shape).as_list()[-1]
    if width is None:
        advice = "call inputs.set_shape([None, width])"
        raise ValueError(f"Expected inputs.shape[-1] to be known, saw shape: {inputs_shape}; {advice}")
    return width


def check_tuple(cell: Any, state: Any, parts: str) -> None:
    """Raises ValueError unless a state is a tuple with the number of parts in `parts`, for example "(c, h)"."""
    if not isinstance(state, (list, tuple)) or len(state) != len(parts.split(",")):
        raise ValueError(f"Expected state of {cell.name} to be a tuple {parts}, but received: {checks.describe(state)}")


def check_state(cell: Any, part: str, state: tf.Tensor, rows: int | None, width: int) -> None:
    """Raises ValueError unless a part of a state fits the shape [rows, width]. `rows` is None if it is unknown."""
    if not state.shape.is_compatible_with([rows, width]):
        expected = f"{part} of shape [{'batch' if rows is None else rows}, {width}]"
        checks.fail(cell.name, expected, f"shape {state.shape}")


def check_inputs(cell: Any, inputs: Any) -> tf.Tensor:
    """Returns the inputs of a step as a tensor; raises ValueError unless they are dense and floating."""
    tensor_checks.dense(inputs, cell.name, "inputs", tensor_checks.RAGGED_STEP)
    inputs = tf.convert_to_tensor(inputs)
    check_floating(inputs.dtype)
    return inputs


def check_step(cell: Any, inputs: tf.Tensor, width: int | None, state: tf.Tensor) -> None:
    """Raises ValueError unless the inputs of a step are [B, I], as wide as `width`, and of the dtype of the state."""
    if inputs.shape.ndims != 2:
        checks.fail(cell.name, "inputs of rank 2, [batch, input], in each step", f"shape {inputs.shape}")
    actual = inputs.shape.as_list()[1]
    if None not in (width, actual) and actual != width:
        advice = "if the same cell object is in two layers of different width, as in [cell] * 2, give each its own cell"
        checks.fail(cell.name, f"inputs of width {width}, as in its first call", f"width {actual}; {advice}")
    dtype, state_dtype = (tensor.dtype.base_dtype.name for tensor in (inputs, state))
    if dtype != state_dtype:
        checks.fail(cell.name, f"inputs of the dtype of the state, {state_dtype}", dtype)


def check_lstm_step(
    cell: Any, inputs: tf.Tensor, width: int | None, state: tuple[Any, Any], sizes: tuple[int, int]
) -> None:
    """Raises ValueError unless the inputs and the state (c, h) of a step fit a cell with c and h of these sizes."""
    tensor_checks.dense(state, cell.name, "state")
    c, h = (tf.convert_to_tensor(part) for part in state)
    check_step(cell, inputs, width, h)
    check_state(cell, "a state c", c, None, sizes[0])  # One row serves all sequences.
    check_state(cell, "a state h", h, inputs.shape.as_list()[0], sizes[1])
