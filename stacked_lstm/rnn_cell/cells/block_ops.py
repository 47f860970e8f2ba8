"""TensorFlow's ops for one step of LSTMBlockCell and GRUBlockCell, with their gradients.

Every version of TensorFlow has these ops for float32. Only `tf.contrib` has their first derivatives, and nothing has
their second derivatives. This module has both.
"""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm.compat import inside_function_or_xla, tapes_are_active, tf

_LSTM_GRADIENT, _LSTM_SECOND_GRADIENT = "StackedLstmLSTMBlockCell", "StackedLstmLSTMBlockCellGrad"
_GRU_GRADIENT = "StackedLstmGRUBlockCell"
_LSTM_INPUTS = ("x", "cs_prev", "h_prev", "w", "wci", "wcf", "wco", "b")


def can_run(*tensors: Any) -> bool:
    """Whether the ops can run a step with these tensors.

    XLA cannot compile the ops, and it may compile a function. A `tf.GradientTape` does not find their gradients.
    """
    is_float32 = all(tensor.dtype.base_dtype == tf.float32 for tensor in tensors)
    return is_float32 and not inside_function_or_xla() and not tapes_are_active()


def can_run_lstm(x: tf.Tensor, *tensors: tf.Tensor) -> bool:
    """The same for the op of the LSTM. That of TensorFlow 2 also refuses an x without rows."""
    return can_run(x, *tensors) and bool(tf.version.VERSION.startswith("1.") or x.shape.as_list()[0])


def lstm_step(
    peepholes: Any, forget_bias: float, cell_clip: float, x: Any, c: Any, h: Any, kernel: Any, bias: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the new (c, h) of an `LSTMBlockCell`.

    Args:
      peepholes: [H] for each of i, f and o; None if there are none.
      forget_bias: float, is added to f.
      cell_clip: float, the bound of c. There is none if it is 0 or negative.
      x, c, h: [B, I], [B, H] and [B, H].
      kernel, bias: [I + H, 4H] and [4H].
    """
    w_i, w_f, w_o = peepholes or [tf.zeros([kernel.shape.as_list()[1] // 4])] * 3
    with tf.get_default_graph().gradient_override_map({"LSTMBlockCell": _LSTM_GRADIENT}):
        step = tf.raw_ops.LSTMBlockCell(
            **dict(zip(_LSTM_INPUTS, (x, c, h, kernel, w_i, w_f, w_o, bias))),
            forget_bias=forget_bias,
            cell_clip=cell_clip,
            use_peephole=peepholes is not None,
        )
    return step.cs, step.h


def gru_step(x: Any, h: Any, gate_kernel: Any, gate_bias: Any, candidate_kernel: Any, candidate_bias: Any) -> tf.Tensor:
    """Returns the new h of a `GRUBlockCell`. The arguments are those of the equations of `GRUCell`."""
    with tf.get_default_graph().gradient_override_map({"GRUBlockCell": _GRU_GRADIENT}):
        return tf.raw_ops.GRUBlockCell(
            x=x, h_prev=h, w_ru=gate_kernel, w_c=candidate_kernel, b_ru=gate_bias, b_c=candidate_bias
        ).h


# In the gradients, d_y is the gradient with respect to y, and d_zy that with respect to y before its activation. Ops
# have further outputs, which only first derivatives read. Their gradients are zeros except in second derivatives.


@tf.RegisterGradient(_LSTM_GRADIENT)
def _lstm_gradient(op: tf.Operation, *d_outputs: Any) -> list:
    x, c, h, kernel, w_i, w_f, w_o, _ = op.inputs
    i, new_c, f, o, j, tanh_c, _ = op.outputs
    d_i, d_c, d_f, d_o, d_j, d_tanh_c, d_h = d_outputs
    d_c, d_h = tf.convert_to_tensor(d_c), tf.convert_to_tensor(d_h)
    has_peepholes = op.get_attr("use_peephole")
    if all(map(_is_zero, (d_i, d_f, d_o, d_j, d_tanh_c))):
        with tf.get_default_graph().gradient_override_map({"LSTMBlockCellGrad": _LSTM_SECOND_GRADIENT}):
            results = tf.raw_ops.LSTMBlockCellGrad(
                **dict(zip(_LSTM_INPUTS, op.inputs)),
                i=i,
                cs=new_c,
                f=f,
                o=o,
                ci=j,
                co=tanh_c,
                cs_grad=d_c,
                h_grad=d_h,
                use_peephole=has_peepholes,
            )
    else:
        saved = c, w_i, w_f, w_o, i, new_c, f, o, j, tanh_c
        results = _gate_gradients(has_peepholes, (d_i, d_f, d_o, d_j, d_tanh_c), *saved, d_c, d_h)
    d_c, d_z = results[:2]
    d_x, d_h, d_kernel, d_bias = _product_gradients(x, h, kernel, d_z)
    return [d_x, d_c, d_h, d_kernel, *(results[2:] if has_peepholes else [None] * 3), d_bias]


@tf.RegisterGradient(_LSTM_SECOND_GRADIENT)
def _lstm_second_gradient(op: tf.Operation, *d_outputs: Any) -> list:
    """The gradient of the op that computes the first derivatives. It computes them again, by other ops."""
    # The op does not read x, h, the kernel and the bias.
    is_read = [k not in (0, 2, 3, 7) for k in range(len(op.inputs))]
    copies = [tf.identity(tensor) for tensor, read in zip(op.inputs, is_read) if read]
    results = _gate_gradients(op.get_attr("use_peephole"), [0.0] * 5, *copies)
    gradients = iter(tf.gradients(results, copies, list(d_outputs[: len(results)])))
    return [next(gradients) if read else None for read in is_read]


def _gate_gradients(
    has_peepholes: bool,
    more: Sequence[Any],
    c: Any,
    w_i: Any,
    w_f: Any,
    w_o: Any,
    i: Any,
    new_c: Any,
    f: Any,
    o: Any,
    j: Any,
    tanh_c: Any,
    d_c: Any,
    d_h: Any,
) -> list[tf.Tensor]:
    """Returns what LSTMBlockCellGrad does: the gradients of the old c, of z [B, 4H] and, if it has any, of peepholes.

    Args:
      has_peepholes: bool.
      more: the gradients with respect to i, f, o, j and tanh_c themselves.
      c, w_i, w_f, w_o: inputs of the step.
      i, new_c, f, o, j, tanh_c: its results; the gates are those after their activations.
      d_c, d_h: the gradients with respect to the new c and h.
    """
    d_i, d_f, d_o, d_j, d_tanh_c = more
    d_zo = _sigmoid_gradient(o, d_h * tanh_c + d_o)
    d_c += _tanh_gradient(tanh_c, d_h * o + d_tanh_c)
    if has_peepholes:
        d_c += d_zo * w_o
    d_zi = _sigmoid_gradient(i, d_c * j + d_i)
    d_zj = _tanh_gradient(j, d_c * i + d_j)
    d_zf = _sigmoid_gradient(f, d_c * c + d_f)
    results = [d_c * f, tf.concat([d_zi, d_zj, d_zf, d_zo], axis=1)]
    if has_peepholes:
        results[0] += d_zi * w_i + d_zf * w_f
        results += [tf.reduce_sum(product, axis=0) for product in (d_zi * c, d_zf * c, d_zo * new_c)]
    return results


@tf.RegisterGradient(_GRU_GRADIENT)
def _gru_gradient(op: tf.Operation, *d_outputs: Any) -> list:
    x, h, gate_kernel, candidate_kernel, _, _ = op.inputs
    r, u, c, _ = op.outputs
    d_r, d_u, d_c, d_h = map(tf.convert_to_tensor, d_outputs)
    d_h_kept = d_h * u
    d_zc = _tanh_gradient(c, _sum(d_h - d_h_kept, d_c))
    d_x, d_rh, d_candidate_kernel, d_candidate_bias = _product_gradients(x, r * h, candidate_kernel, d_zc)
    d_zr = _sigmoid_gradient(r, _sum(d_rh * h, d_r))
    d_zu = _sigmoid_gradient(u, _sum(d_h * (h - c), d_u))
    d_z = tf.concat([d_zr, d_zu], axis=1)
    d_x_of_gates, d_h_of_gates, d_gate_kernel, d_gate_bias = _product_gradients(x, h, gate_kernel, d_z)
    d_h = tf.add_n([d_h_kept, d_rh * r, d_h_of_gates])
    return [d_x + d_x_of_gates, d_h, d_gate_kernel, d_candidate_kernel, d_gate_bias, d_candidate_bias]


def _product_gradients(x: Any, h: Any, kernel: Any, d_z: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the gradients of x, h, kernel and bias, for z = [x, h] kernel + bias."""
    units = h.shape.as_list()[1]
    d_x, d_h = tf.split(tf.matmul(d_z, kernel, transpose_b=True), [kernel.shape.as_list()[0] - units, units], axis=1)
    d_kernel = tf.matmul(tf.concat([x, h], axis=1), d_z, transpose_a=True)
    return d_x, d_h, d_kernel, tf.raw_ops.BiasAddGrad(out_backprop=d_z)


def _sigmoid_gradient(y: Any, d_y: Any) -> tf.Tensor:
    return tf.raw_ops.SigmoidGrad(y=y, dy=d_y)


def _tanh_gradient(y: Any, d_y: Any) -> tf.Tensor:
    return tf.raw_ops.TanhGrad(y=y, dy=d_y)


def _sum(value: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return value if _is_zero(other) else value + other


def _is_zero(value: Any) -> bool:
    """Whether TensorFlow made the tensor for an output that nothing depends on. False is always right."""
    if not tf.is_tensor(value) or not hasattr(value, "op"):
        return False
    op = value.op
    if op.type == "Fill":
        op = op.inputs[1].op
    return op.type == "ZerosLike" or (op.type == "Const" and not tf.get_static_value(op.outputs[0]).any())
