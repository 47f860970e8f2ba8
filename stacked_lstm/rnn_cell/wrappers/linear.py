"""A linear map with its own variables, for the cells of `tf.contrib.rnn`.

`_linear` and `_Linear` are private in TensorFlow 1.15, but many old programs import them.
"""

from __future__ import annotations

from typing import Any

from stacked_lstm import checks, graph_checks
from stacked_lstm.compat import tf


class _Linear:
    """Multiplies tensors side by side by a matrix, and adds a bias.

    It stands for `_Linear` of TensorFlow 1.15. B is the batch size, N the width of the outputs. The variables `kernel`
    and `bias` are in the current scope. The bias is never partitioned.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> x, h = tf.zeros([4, 8]), tf.zeros([4, 3])
      >>> gate = rnn_cell._Linear([x, h], 5, build_bias=True)
      >>> gate([x, h]).shape.as_list(), gate([x + 1, h + 1]).shape.as_list(), len(tf.global_variables())
      ([4, 5], [4, 5], 2)
    """

    def __init__(
        self,
        args: Any,
        output_size: int,
        build_bias: bool,
        bias_initializer: Any = None,
        kernel_initializer: Any = None,
        function: str = "linear",
    ) -> None:
        """Makes the variables.

        Args:
          args: float tensor [B, I], or a list of such tensors. The widths I are known. The matrix
            has one row per column of these tensors.
          output_size: int, N.
          build_bias: bool, whether there is a bias.
          bias_initializer: initializer of the bias. Default None: zeros.
          kernel_initializer: initializer of the matrix. Default None: that of the scope.
          function: the name at the start of error messages. Default "linear".

        Raises:
          ValueError: there are no tensors, their rank is not 2, or a width is unknown.
        """
        self._is_sequence = tf.nest.is_nested(args)
        if args is None or (self._is_sequence and not args):
            raise ValueError("`args` must be specified")
        tensors = args if self._is_sequence else [args]
        shapes = [tensor.shape for tensor in tensors]
        if any(shape.ndims != 2 or shape.as_list()[1] is None for shape in shapes):
            checks.fail(function, "tensors of rank 2 with known widths", f"shapes {', '.join(map(str, shapes))}")
        rows, dtype = sum(shape.as_list()[1] for shape in shapes), tensors[0].dtype
        self._kernel = tf.get_variable("kernel", [rows, output_size], dtype, kernel_initializer)
        self._bias = None
        if build_bias:
            with tf.variable_scope(tf.get_variable_scope()) as scope:
                scope.set_partitioner(None)
                initializer = tf.zeros_initializer() if bias_initializer is None else bias_initializer
                self._bias = tf.get_variable("bias", [output_size], dtype, initializer)

    def __call__(self, args: Any) -> tf.Tensor:
        """Returns the outputs, float [B, N].

        Args:
          args: tensors of the same number, widths and dtype as those of the constructor.
        """
        tensors = args if self._is_sequence else [args]
        graph_checks.same_graph([self._kernel], "_Linear", tensors)
        product = tf.matmul(tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=1), self._kernel)
        return product if self._bias is None else tf.nn.bias_add(product, self._bias)


def _linear(
    args: Any,
    output_size: int,
    bias: bool,
    bias_initializer: Any = None,
    kernel_initializer: Any = None,
    function: str = "linear",
    scope: Any = None,
) -> tf.Tensor:
    """Multiplies tensors side by side by a matrix, and adds a bias.

    It stands for `_linear` of TensorFlow 1.15. B is the batch size, N the width of the outputs.

    Args:
      args: float tensor [B, I], or a list of such tensors. The widths I are known.
      output_size: int, N.
      bias: bool, whether there is a bias.
      bias_initializer: initializer of the variable `bias`. Default None: zeros.
      kernel_initializer: initializer of the variable `kernel`. Default None: that of the scope.
      function: the name at the start of error messages. Default "linear".
      scope: an argument of TensorFlow 1.0, which 1.15 does not have. Default None.

    Returns:
      float [B, N].

    Raises:
      TypeError: `scope` is not None.
      ValueError: there are no tensors, their rank is not 2, or a width is unknown.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> with tf.variable_scope("attention"):
      ...     y = rnn_cell._linear([tf.zeros([4, 8]), tf.zeros([4, 3])], 5, True)
      >>> y.shape.as_list(), [variable.op.name for variable in tf.global_variables()]
      ([4, 5], ['attention/kernel', 'attention/bias'])
    """
    if scope is not None:
        raise TypeError(
            f"_linear: expected no `scope`, which TensorFlow 1.15 does not have, either, got {checks.describe(scope)}; "
            "call it inside `with tf.variable_scope(scope):`. TensorFlow 1.0 named the variables weights and biases"
        )
    return _Linear(args, output_size, bias, bias_initializer, kernel_initializer, function)(args)
