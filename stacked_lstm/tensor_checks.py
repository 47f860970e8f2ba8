"""The dtypes of a stack, and checks of tensors when the graph is built and when it runs.

`FLOAT_DTYPES` lists the dtypes of a stack; the `needs` of each engine say which of them it runs. A new dtype also has
entries in `parity/measure.py` and `export/trial.py` (tolerances), `commands/choices.py` and
`scripts/benchmarking/subjects/shapes.py` (flags), `lstm/normalization.py` (epsilon), `rnn_cell/cudnn/cudnn_lstm.py`,
`checkpoints/keras/keras_files.py` and `checkpoints/npz_files.py`, and in `engines/native/op_definitions.cc` if `native`
shall run it. A dtype of less than 4 bytes is half precision.

`sequence_length` of a stack is checked here, that of the drop-in in `rnn_cell/loops/loop_calls.py` and
`rnn_cell/loops/engine_calls.py`.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, NoReturn, Sequence

import numpy as np

from stacked_lstm.checks import BOOLS, describe, fail, pairs
from stacked_lstm.compat import tf

FLOAT_DTYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)


class Size(NamedTuple):
    """The length of an axis.

    Fields:
      static: an int; None if the length is unknown when the graph is built.
      dynamic: an int32 scalar tensor.
    """

    static: int | None
    dynamic: tf.Tensor

    @property
    def value(self) -> int | tf.Tensor:
        """The int if it is known, else the tensor."""
        return self.dynamic if self.static is None else self.static


def sizes(series: tf.Tensor, time_major: bool) -> tuple[Size, Size]:
    """Returns the `Size`s of T and B of a tensor [B, T, N], or [T, B, N] if `time_major`."""
    first, second = (Size(series.shape.as_list()[axis], tf.shape(series)[axis]) for axis in (0, 1))
    return (first, second) if time_major else (second, first)


def float_dtype(dtype: Any, function: str, argument: str = "dtype") -> tf.DType:
    """Returns `dtype` as a `tf.DType`; raises ValueError unless it is one of `FLOAT_DTYPES`."""
    try:
        dtype = tf.as_dtype(dtype).base_dtype
    except TypeError:
        dtype = repr(dtype)
    if dtype not in FLOAT_DTYPES:
        fail(
            function,
            f"`{argument}` to be one of {', '.join(d.name for d in FLOAT_DTYPES)}",
            getattr(dtype, "name", dtype),
        )
    return dtype


RAGGED_STEP = "{0}.to_tensor()"


def ragged_series(time_major: bool, lengths: str = "sequence_length") -> str:
    """Returns what to pass instead of ragged inputs [B, T, I], for `dense`. lengths: the argument for the lengths."""
    series = "tf.transpose({0}.to_tensor(), [1, 0, 2])" if time_major else "{0}.to_tensor()"
    return f"{series} and {lengths}={{0}}.row_lengths()"


def dense(nest: Any, function: str, argument: str, ragged: str | None = None) -> None:
    """Raises ValueError if a nest has a tensor that TensorFlow does not make dense by itself.

    Args:
      nest: a tensor, an array, or a nest of them.
      function, argument: names for the message.
      ragged: what to pass instead of a ragged tensor, for the message, with {0} in the place of its name. Default None:
        the message has no advice.
    """
    for value in tf.nest.flatten(nest):
        if isinstance(value, tf.RaggedTensor):
            actual = f"a tf.RaggedTensor; pass {ragged}" if ragged else "a tf.RaggedTensor"
        elif isinstance(value, tf.SparseTensor):
            actual = "a tf.SparseTensor; pass tf.sparse.to_dense({0})"
        elif isinstance(value, tf.IndexedSlices) and value.dense_shape is None:
            actual = "a tf.IndexedSlices without a dense_shape"
        else:
            continue
        name = _name_in(nest, value, argument) or argument
        fail(function, f"`{name}` to be dense", actual.format(name))


def _name_in(nest: Any, value: Any, name: str) -> str | None:
    """Returns what a program writes for a value in a nest called `name`, such as "state.c"; None if it is not there."""
    if nest is value:
        return name
    if isinstance(nest, Mapping):
        parts = [(f"[{key!r}]", part) for key, part in nest.items()]
    elif isinstance(nest, (list, tuple)):
        fields = getattr(nest, "_fields", None)
        parts = [(f".{fields[k]}" if fields else f"[{k}]", part) for k, part in enumerate(nest)]
    else:
        return None
    return next(filter(None, (_name_in(part, value, name + suffix) for suffix, part in parts)), None)


def tensor(value: Any, dtype: tf.DType, function: str, argument: str) -> tf.Tensor:
    """Returns `value` as a tensor.

    Raises:
      ValueError: `value` has another dtype than `dtype`, or is no tensor and cannot be converted. Nothing is cast
        silently.
    """
    if hasattr(value, "dtype"):
        dense(value, function, argument)
    else:
        try:
            return tf.convert_to_tensor(value, dtype)
        except (TypeError, ValueError):
            values = "True and False in a list" if dtype == tf.bool else "numbers that make one"
            expected = f"`{argument}` to be a tensor of dtype {dtype.name}, or {values}"
            fail(function, expected, f"{describe(value)}, which cannot be converted")
    value_dtype = tf.as_dtype(value.dtype).base_dtype
    if value_dtype != dtype:
        fail(function, f"`{argument}` of dtype {dtype.name} (use tf.cast)", value_dtype.name)
    return tf.convert_to_tensor(value)


def inputs(value: Any, dtype: tf.DType, time_major: bool, function: str) -> tf.Tensor:
    """Returns the inputs as a tensor of rank 3 whose last dimension is known."""
    dense(value, function, "inputs", ragged_series(time_major))
    value = tensor(value, dtype, function, "inputs")
    axes = "[time, batch, input]" if time_major else "[batch, time, input]"

    def refuse(expected: str, hint: str = "") -> NoReturn:
        fail(function, expected, f"shape {value.shape}{hint}")

    if value.shape.ndims is None:
        refuse(f"`inputs` of rank 3, {axes}", "; call inputs.set_shape([None, None, width])")
    if value.shape.ndims != 3:
        refuse(f"`inputs` of rank 3, {axes}")
    if value.shape.as_list()[-1] is None:
        refuse(f"`inputs` {axes} of known width", "; call inputs.set_shape([None, None, width])")
    if value.shape.as_list()[-1] == 0:
        refuse(f"`inputs` {axes} with at least one column")
    return value


def lengths(
    value: Any, time_steps: Size, batch: Size, function: str, argument: str = "sequence_length"
) -> tf.Tensor | None:
    """Returns the lengths of the sequences as int32 [B], with checks that run with the graph.

    Args:
      value: int32 or int64 vector of B numbers from 0 to T, or None, which is returned as it is.
      time_steps, batch: the `Size`s of T and B.
      function, argument: names for messages.

    Raises:
      ValueError: the dtype, the shape or a constant length is wrong. What is known only when the graph runs raises
        `tf.errors.InvalidArgumentError` there.
    """
    if value is None:
        return None
    count = "" if batch.static is None else f" ({batch.static})"
    expected = f"`{argument}` to be an int32 or int64 vector with one length per sequence{count}"
    dense(value, function, argument)
    try:
        value = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        fail(function, expected, describe(value))
    if value.dtype.base_dtype not in (tf.int32, tf.int64):
        fail(function, expected, f"dtype {value.dtype.base_dtype.name}")
    if not value.shape.is_compatible_with([batch.static]):
        fail(function, expected, f"shape {value.shape}")
    _check_constant_lengths(value, time_steps.static, function, argument)
    # These run before the cast, which could wrap an int64 into the range.
    with tf.control_dependencies(_length_assertions(value, time_steps, batch, function, argument)):
        value = tf.identity(tf.cast(value, tf.int32))
    value.set_shape([batch.static])
    return value


def _length_assertions(
    value: tf.Tensor, time_steps: Size, batch: Size, function: str, argument: str
) -> list[tf.Operation]:
    """Ops that check lengths when the graph runs."""
    steps = tf.cast(time_steps.dynamic, value.dtype)
    size = tf.size(value)
    conditions = (
        (tf.equal(tf.rank(value), 1), ["to be a vector, got shape", tf.shape(value)]),
        (tf.equal(size, batch.dynamic), ["with one length for each of", batch.dynamic, "sequences, got", size]),
        (tf.reduce_all(value >= 0), ["of at least 0, got", tf.reduce_min(value)]),
        (tf.reduce_all(value <= steps), ["of at most", steps, "time steps, got", tf.reduce_max(value)]),
    )
    message = f"{function}: expected `{argument}` "
    return [assertion(condition, [message + text, *data]) for condition, (text, *data) in conditions]


def assertion(condition: tf.Tensor, data: Sequence[Any]) -> tf.Operation:
    """Returns a `tf.Assert` that is placed on a CPU, because its strings cannot be on a GPU."""
    with tf.device("/device:CPU:0"):
        return tf.Assert(condition, data)


def scalar(value: tf.Tensor, function: str, expected: str) -> tf.Tensor:
    """Returns a tensor as a scalar. If its rank is unknown, another rank fails when the graph runs."""
    if value.shape.ndims is not None:
        return value
    message = [f"{function}: expected {expected}, got shape", tf.shape(value)]
    with tf.control_dependencies([assertion(tf.equal(tf.rank(value), 0), message)]):
        value = tf.identity(value)
    value.set_shape([])
    return value


def training(value: Any, function: str) -> Any:
    """Returns the argument `training` as a bool, or as a bool scalar tensor; None is False.

    Raises:
      ValueError: it is anything else.
    """
    expected = "`training` to be True, False, or a scalar tensor of bools"
    if value is None or isinstance(value, BOOLS):
        return bool(value)
    is_tensor = isinstance(value, tf.Variable) or tf.is_tensor(value)
    if not is_tensor or value.dtype.base_dtype != tf.bool or not value.shape.is_compatible_with([]):
        fail(function, expected, describe(value))
    return scalar(tf.convert_to_tensor(value), function, expected)


def with_shape(value: tf.Tensor, sizes: Sequence[Size | int], function: str, expected: str) -> tf.Tensor:
    """Returns a tensor that has a shape. Another shape, or another rank, fails when the graph runs.

    Args:
      value: the tensor.
      sizes: the axes, each an int or a `Size`.
      function, expected: for the message `function: expected <expected> of shape ..., got ...`.
    """
    axes = [size.value if isinstance(size, Size) else int(size) for size in sizes]
    shape, wanted = tf.shape(value), tf.stack(axes)
    compared, end = (shape, wanted), len(axes) + 1
    if value.shape.ndims is None:  # `tf.equal` broadcasts a shape of another rank, except if -1 tells where it ends.
        compared = tuple(tf.concat([entries, tf.fill([end], -1)], axis=0)[:end] for entries in compared)
    message = [f"{function}: expected {expected} of shape", wanted, "got", shape]
    with tf.control_dependencies([assertion(tf.reduce_all(tf.equal(*compared)), message)]):
        value = tf.identity(value)
    value.set_shape([None if tf.is_tensor(size) else size for size in axes])
    return value


def _check_constant_lengths(value: tf.Tensor, time_steps: int | None, function: str, argument: str) -> None:
    """Raises ValueError if the lengths are constants that are out of range."""
    constant = tf.get_static_value(value)
    if constant is None or constant.size == 0:
        return
    if constant.min() < 0 or (time_steps is not None and constant.max() > time_steps):
        upper = "the number of time steps" if time_steps is None else time_steps
        k = int(np.argmax((constant < 0) | (constant > (np.inf if time_steps is None else time_steps))))
        fail(function, f"`{argument}` between 0 and {upper}", f"{constant.ravel()[k]} for sequence {k}")


def flags(value: Any, steps: Size, batch: Size, time_major: bool, function: str, argument: str) -> tf.Tensor:
    """Returns a bool tensor [B, T], or [T, B] if `time_major`, as [T, B]. Another size fails when the graph runs."""
    value = tensor(value, tf.bool, function, argument)
    axes, names = ((steps, batch), "[time, batch]") if time_major else ((batch, steps), "[batch, time]")
    if not value.shape.is_compatible_with([size.static for size in axes]):
        shape = [size.static for size in axes]
        fail(function, f"`{argument}` {names} of shape {shape}", f"shape {value.shape}")
    value = with_shape(value, axes, function, f"`{argument}` {names}")
    return value if time_major else tf.transpose(value)


def states(
    value: Any, widths: Sequence[int | tuple[int, int]], batch: Size, dtype: tf.DType, function: str, argument: str
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Returns a list of (c, h) tensor pairs, one pair per layer.

    Args:
      value: a sequence of (c, h) pairs.
      widths: per layer the width of c and h: one number for both, or a pair of numbers.
      batch: the `Size` of B. Another number of rows fails when the graph runs.
      dtype: the dtype that c and h must have.
      function, argument: names for the messages.
    """
    checked = []
    for k, (pair, pair_widths) in enumerate(zip(pairs(value, len(widths), function, argument), widths)):
        c_width, h_width = pair_widths if isinstance(pair_widths, tuple) else (pair_widths, pair_widths)
        c = _state(pair[0], c_width, batch, dtype, function, f"{argument}[{k}].c")
        h = _state(pair[1], h_width, batch, dtype, function, f"{argument}[{k}].h")
        checked.append((c, h))
    return checked


def _state(value: Any, width: int, batch: Size, dtype: tf.DType, function: str, argument: str) -> tf.Tensor:
    """One state as a tensor [B, width], with a check that runs with the graph if its shape is not known."""
    state = tensor(value, dtype, function, argument)
    if not state.shape.is_compatible_with([batch.static, width]):
        shape = f"[{'batch' if batch.static is None else batch.static}, {width}]"
        fail(function, f"`{argument}` of shape {shape}", f"shape {state.shape}")
    if state.shape.is_fully_defined() and batch.static is not None:
        return state
    return with_shape(state, [batch, width], function, f"`{argument}`")
