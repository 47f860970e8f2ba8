"""Checks of tensors, and what is checked when the graph runs."""

from typing import Any, NamedTuple, Optional

import numpy as np

from stacked_lstm.checks import fail
from stacked_lstm.compat import tf

FLOAT_DTYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)


class Size(NamedTuple):
    """The length of an axis.

    Fields:
      static: an int; None where it is unknown when the graph is built.
      dynamic: an int32 scalar tensor.
    """

    static: Optional[int]
    dynamic: Any

    @property
    def value(self):
        """The int where there is one, or else the tensor."""
        return self.dynamic if self.static is None else self.static


def sizes(series, time_major):
    """The `Size`s (T, B) of a tensor [T, B, N], or [B, T, N] unless it is time-major."""
    first, second = (Size(series.shape.as_list()[axis], tf.shape(series)[axis]) for axis in (0, 1))
    return (first, second) if time_major else (second, first)


def float_dtype(dtype, function):
    """Returns `dtype` as a `tf.DType`; raises ValueError unless it is one of `FLOAT_DTYPES`."""
    try:
        dtype = tf.as_dtype(dtype).base_dtype
    except TypeError:
        dtype = repr(dtype)
    if dtype not in FLOAT_DTYPES:
        fail(function, f"`dtype` to be one of {', '.join(d.name for d in FLOAT_DTYPES)}", getattr(dtype, "name", dtype))
    return dtype


def graph_mode(function):
    """Raises RuntimeError in eager mode, where there is no graph to add to."""
    if tf.executing_eagerly():
        raise RuntimeError(
            "%s: builds a TF1 graph and cannot run eagerly; call it inside `with tf.Graph().as_default():`, or call "
            "tf.compat.v1.disable_eager_execution() at the start of the program" % function
        )


def tensor(value, dtype, function, argument):
    """Returns `value` as a tensor; raises ValueError unless its dtype is `dtype` (nothing is cast silently)."""
    given = value.dtype if hasattr(value, "dtype") else None
    if given is None:
        try:
            return tf.convert_to_tensor(value, dtype)
        except (TypeError, ValueError) as error:
            fail(function, f"`{argument}` to be a {dtype.name} tensor", f"{value!r} ({error})")
    given = tf.as_dtype(given).base_dtype
    if given != dtype:
        fail(function, f"`{argument}` of dtype {dtype.name} (use tf.cast)", given.name)
    return tf.convert_to_tensor(value)


def inputs(value, dtype, time_major, function):
    """Returns the inputs as a tensor of rank 3 whose last dimension is known."""
    value = tensor(value, dtype, function, "inputs")
    axes = "[time, batch, input]" if time_major else "[batch, time, input]"
    if value.shape.ndims != 3:
        fail(function, f"`inputs` of rank 3, {axes}", f"shape {value.shape}")
    if value.shape.as_list()[-1] is None:
        fail(
            function,
            f"`inputs` {axes} whose last dimension is known when the graph is built",
            f"shape {value.shape}",
        )
    if value.shape.as_list()[-1] == 0:
        fail(function, f"`inputs` {axes} with at least one column", f"shape {value.shape}")
    return value


def lengths(value, time_steps, batch, function):
    """Returns `sequence_length` as int32 [B]; a run-time check fails unless it has B entries between 0 and T.

    Args:
      value: int32 or int64 vector, or None (returned as it is).
      time_steps, batch: the `Size`s of T and B.
    """
    if value is None:
        return None
    expected = "`sequence_length` to be an int32 or int64 vector of %s entries" % (
        "one per sequence" if batch.static is None else "%d" % batch.static
    )
    try:
        value = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        fail(function, expected, f"{value!r} ({error})")
    if value.dtype.base_dtype not in (tf.int32, tf.int64):
        fail(function, expected, f"dtype {value.dtype.base_dtype.name}")
    if not value.shape.is_compatible_with([batch.static]):
        fail(function, expected, f"shape {value.shape}")
    _static_range(value, time_steps.static, function)
    # Checked before the cast, which could wrap an int64 into the range.
    conditions = (
        (tf.equal(tf.rank(value), 1), "of rank 1", tf.rank(value)),
        (tf.equal(tf.size(value), batch.dynamic), "of one entry per sequence, the batch size", batch.dynamic),
        (tf.reduce_all(value >= 0), "of at least 0", 0),
        (
            tf.reduce_all(value <= tf.cast(time_steps.dynamic, value.dtype)),
            "of at most the number of time steps",
            time_steps.dynamic,
        ),
    )
    message = function + ": expected `sequence_length` "
    assertions = [
        assertion(true, [message + text + ", got", value, "where that is", n]) for true, text, n in conditions
    ]
    with tf.control_dependencies(assertions):
        value = tf.identity(tf.cast(value, tf.int32))
    value.set_shape([batch.static])
    return value


def assertion(condition, data):
    """`tf.Assert` on a CPU: there are no strings on a GPU."""
    with tf.device("/device:CPU:0"):
        return tf.Assert(condition, data)


def _static_range(value, time_steps, function):
    """Raises ValueError where the lengths are constants that are out of range already."""
    constant = tf.get_static_value(value)
    if constant is None or constant.size == 0:
        return
    if constant.min() < 0 or (time_steps is not None and constant.max() > time_steps):
        upper = "the number of time steps" if time_steps is None else time_steps
        fail(function, f"`sequence_length` between 0 and {upper}", np.array2string(constant))


def states(value, widths, batch, dtype, function, argument):
    """Returns a list of (c, h) tensor pairs, one pair per layer.

    Args:
      widths: those of (c, h) per layer, or one number for both.
      batch: the `Size` of B; another number of rows fails at run time.
    """
    expected = f"`{argument}` to be a sequence of {len(widths)} (c, h) pairs, one per layer"
    is_sequence = isinstance(value, (list, tuple)) and len(value) == len(widths)
    if not is_sequence or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
        fail(function, expected, repr(value))
    checked = []
    for k, (pair, of_pair) in enumerate(zip(value, widths)):
        fields = []
        for field, part, width in zip("ch", pair, of_pair if isinstance(of_pair, tuple) else (of_pair, of_pair)):
            name = f"{argument}[{k}].{field}"
            part = tensor(part, dtype, function, name)
            if not part.shape.is_compatible_with([batch.static, width]):
                shape = f"[{'batch' if batch.static is None else batch.static}, {width}]"
                fail(function, f"`{name}` of shape {shape}", f"shape {part.shape}")
            fields.append(_with_shape(part, batch, width, f"{function}: expected `{name}`"))
        checked.append(tuple(fields))
    return checked


def _with_shape(part, batch, width, message):
    """`part` with a run-time check of what its static shape leaves open."""
    if part.shape.is_fully_defined() and batch.static is not None:
        return part
    wanted = tf.stack([batch.dynamic, width])
    matches = tf.reduce_all(tf.equal(tf.shape(part), wanted))
    with tf.control_dependencies([assertion(matches, [message + " of shape", wanted, "got", tf.shape(part)])]):
        part = tf.identity(part)
    part.set_shape([batch.static, width])
    return part
