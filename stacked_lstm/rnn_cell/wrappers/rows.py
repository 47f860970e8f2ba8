"""Functions of rows: whether a function of tensors [B, N] treats each row by itself.

Such a function may be called once on the rows of all time steps, [T B, N], instead of once per step. The check lets the
function build its ops in a graph that is thrown away, and reads them.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import tf

# Ops of tensors that compute each entry, or each row, by itself.
_ROW_OPS = set(
    """
    Abs Add AddN AddV2 BiasAdd Cast Cos Div DivNoNan Elu Erf Exp Identity LeakyRelu Log Log1p LogSoftmax Maximum Minimum
    Mul Neg Placeholder Pow RealDiv Relu Relu6 Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Softmax Softplus Softsign
    Sqrt Square SquaredDifference StopGradient Sub Tanh
    Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot LogicalOr NotEqual OnesLike ZerosLike
    """.split()
)


def _keeps_rows(op: tf.Operation) -> bool:
    """Whether an op computes each row of its result from the same row of its inputs."""
    if op.type == "Const":  # A number, or an entry per column.
        return op.outputs[0].shape.ndims < 2
    if op.type in _AXIS_INPUT:
        return tf.get_static_value(op.inputs[_AXIS_INPUT[op.type]]) in (1, -1)
    if op.type == "StridedSlice":  # All rows, as in x[:, :n].
        all_rows = op.get_attr("begin_mask") & op.get_attr("end_mask") & 1
        moved_axes = op.get_attr("ellipsis_mask") | op.get_attr("new_axis_mask") | op.get_attr("shrink_axis_mask")
        return bool(all_rows) and not moved_axes and tf.get_static_value(op.inputs[3])[0] == 1
    return op.type in _ROW_OPS


# Type of an op -> which of its inputs is the axis.
_AXIS_INPUT = {"Split": 0, "SplitV": 2, "ConcatV2": -1}


def problem(function: Callable, widths: Sequence[int], output_width: int, dtype: tf.DType) -> str | None:
    """Returns why a function cannot be called on the rows of all steps; None if it can.

    Args:
      function: takes a tensor [B, width] for each of `widths`, and returns a tensor [B, output_width] of their dtype.
    """
    with tf.Graph().as_default() as graph:
        try:
            result = function(*[tf.placeholder(dtype, [None, width]) for width in widths])
        except Exception as error:  # Whatever it is, the function raises it again on TensorFlow's loop.
            return f"cannot be examined ({type(error).__name__})"
        if not tf.is_tensor(result) or result.dtype != dtype or result.shape.as_list() != [None, output_width]:
            return f"does not return one tensor [batch, {output_width}]"
        for op in graph.get_operations():
            if not _keeps_rows(op):
                return f"has the op {op.type}, which may not treat each row by itself"
    return None


def apply(function: Callable, *series: tf.Tensor) -> Any:
    """Calls a function of rows on tensors [T, B, N] of all steps; returns [T, B, output width]."""
    rows = [tf.reshape(tensor, [-1, tensor.shape.as_list()[2]]) for tensor in series]
    result = function(*rows)
    return tf.reshape(result, tf.concat([tf.shape(series[0])[:2], result.shape.as_list()[1:]], axis=0))
