"""GRUCell and the GRUBlockCells: gated recurrent units, operation for operation as in TensorFlow 1.15's GRUCell."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base import keras_names
from stacked_lstm.rnn_cell.base.one_state_base import OneStateBase, product
from stacked_lstm.rnn_cell.cells import block_ops


class GRUCell(OneStateBase):
    """The gated recurrent unit.

    It replaces `tf.nn.rnn_cell.GRUCell` (also `tf.contrib.rnn.GRUCell`) of TensorFlow 1.15. It runs on TensorFlow's
    loop. I is the width of the inputs, H that of the state:

        r, u = split(sigmoid([x, h] gates_kernel + gates_bias))
        c = activation([x, r * h] candidate_kernel + candidate_bias)
        h' = u * h + (1 - u) * c

    The variables are `gates/kernel` [I + H, 2H], `gates/bias` [2H], `candidate/kernel` [I + H, H] and `candidate/bias`
    [H], in the scope `gru_cell`.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder for statistical machine translation,
    2014, https://arxiv.org/abs/1406.1078.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.GRUCell(32)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.shape.as_list()
      ([4, 20, 32], [4, 32])
      >>> [v.op.name for v in cell.variables][:2]
      ['rnn/gru_cell/gates/kernel', 'rnn/gru_cell/gates/bias']
    """

    # Names of the kernel and the bias of the gates, and of those of the candidate.
    _NAMES = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")

    def __init__(
        self,
        num_units: int,
        activation: str | Callable | None = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | tf.VariableScope | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          activation: str or function from a tensor to one of the same shape, for c. Default None: tanh.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          kernel_initializer: a TensorFlow initializer or its Keras name, for both kernels. Default None: the
            initializer of the scope.
          bias_initializer: the same for both biases. Default None: ones for the gates and zeros for the candidate.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default None: "gru_cell".
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          **kwargs: `trainable` (bool, default True) and `_scope`, see `RNNCell`.

        Raises:
          TypeError: an unknown argument.
          ValueError: an unknown name of an activation or an initializer, or a dtype that is not floating.
        """
        super().__init__(num_units, activation, reuse, name=name, dtype=dtype, **kwargs)
        self._kernel_initializer = keras_names.initializer(kernel_initializer, type(self).__name__)
        self._bias_initializer = keras_names.initializer(bias_initializer, type(self).__name__)

    def _add_variables(self, depth: int) -> None:
        rows, units = depth + self._num_units, self._num_units
        names, kernel, bias = self._NAMES, self._kernel_initializer, self._bias_initializer
        self._gate_kernel = self.add_variable(names[0], [rows, 2 * units], initializer=kernel)
        self._gate_bias = self.add_variable(names[1], [2 * units], initializer=bias or tf.ones_initializer())
        self._candidate_kernel = self.add_variable(names[2], [rows, units], initializer=kernel)
        self._candidate_bias = self.add_variable(names[3], [units], initializer=bias or tf.zeros_initializer())

    def _next_state(self, inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        r, u = tf.split(tf.sigmoid(product(inputs, state, self._gate_kernel, self._gate_bias)), 2, axis=1)
        c = self._activation(product(inputs, r * state, self._candidate_kernel, self._candidate_bias))
        return u * state + (1 - u) * c

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            kernel_initializer=keras_names.initializer_config(self._kernel_initializer),
            bias_initializer=keras_names.initializer_config(self._bias_initializer),
        )
        return config


class GRUBlockCellV2(GRUCell):
    """The gated recurrent unit whose step is one op in float32, see `block_ops`.

    It replaces `tf.contrib.rnn.GRUBlockCellV2` of TensorFlow 1.15. Equations, variables and their names are those of
    `GRUCell`; the activation is tanh.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.GRUBlockCellV2(32)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> cell.variables[0].op.name
      'rnn/gru_cell/gates/kernel'
    """

    def __init__(
        self,
        num_units: int | None = None,
        cell_size: int | None = None,
        reuse: Any = None,
        name: str | tf.VariableScope = "gru_cell",
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          cell_size: H under an older name.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default "gru_cell".

        Raises:
          ValueError: both or none of `num_units` and `cell_size`.
        """
        if (cell_size is None) == (num_units is None):
            raise ValueError("Exactly one of num_units or cell_size must be provided.")
        units = cell_size if num_units is None else num_units
        assert units is not None
        super().__init__(units, reuse=reuse, name=name)
        self._cell_size = units

    def _next_state(self, inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        variables = self._gate_kernel, self._gate_bias, self._candidate_kernel, self._candidate_bias
        tensors = [tf.convert_to_tensor(tensor) for tensor in (inputs, state, *variables)]
        return block_ops.gru_step(*tensors) if block_ops.can_run(*tensors) else super()._next_state(inputs, state)

    def get_config(self) -> dict[str, Any]:
        return {"num_units": self._num_units, "reuse": self._reuse, "name": self.name}


class GRUBlockCell(GRUBlockCellV2):
    """`GRUBlockCellV2` with the variable names of older checkpoints: `w_ru`, `b_ru`, `w_c` and `b_c`.

    It replaces `tf.contrib.rnn.GRUBlockCell` of TensorFlow 1.15. The arguments `num_units`, `cell_size`, `reuse` and
    `name` are those of `GRUBlockCellV2`.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.GRUBlockCell(32)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> [v.op.name for v in cell.variables]
      ['rnn/gru_cell/w_ru', 'rnn/gru_cell/b_ru', 'rnn/gru_cell/w_c', 'rnn/gru_cell/b_c']
    """

    _NAMES = ("w_ru", "b_ru", "w_c", "b_c")
