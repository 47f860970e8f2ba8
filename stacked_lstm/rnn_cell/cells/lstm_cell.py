"""LSTMCell: the LSTM cell with options, operation for operation as in TensorFlow 1.15, so the bits are the same."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.lstm.equations import Extras
from stacked_lstm.rnn_cell.base import keras_names
from stacked_lstm.rnn_cell.base.cell_checks import check_projection
from stacked_lstm.rnn_cell.base.lstm_base import LSTMBase


class LSTMCell(LSTMBase, has_layer=True):
    """The LSTM cell with optional peepholes, projection and clips.

    It replaces `tf.nn.rnn_cell.LSTMCell` (also `tf.contrib.rnn.LSTMCell`) of TensorFlow 1.15. Without options it
    computes what `BasicLSTMCell` computes. I is the width of the inputs, H that of the cell state c, P that of the
    hidden state h; P = H without a projection. With all options, and j for the candidate:

        i, j, f, o = split([x, h] kernel + bias)
        c' = clip(sigmoid(f + forget_bias + w_f_diag * c) * c + sigmoid(i + w_i_diag * c) * activation(j))
        h' = clip((sigmoid(o + w_o_diag * c') * activation(c')) projection)

    The variables are in the scope `lstm_cell`: `kernel` [I + P, 4H] and `bias` [4H], with columns in the order i, j, f,
    o; with peepholes `w_f_diag`, `w_i_diag` and `w_o_diag` [H]; with a projection `projection/kernel` [H, P].

    Source: Gers, Schmidhuber and Cummins, Learning to forget: continual prediction with LSTM, 2000 (the forget gate);
    Sak, Senior and Beaufays, Long short-term memory recurrent neural network architectures for large scale acoustic
    modeling, 2014, https://research.google.com/pubs/archive/43905.pdf (peepholes and projection).

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.LSTMCell(32, use_peepholes=True, num_proj=16, cell_clip=3.0)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.c.shape.as_list(), state.h.shape.as_list()
      ([4, 20, 16], [4, 32], [4, 16])
      >>> [v.op.name for v in cell.variables][-2:]
      ['rnn/lstm_cell/w_o_diag', 'rnn/lstm_cell/projection/kernel']
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int | None = None,
        num_proj_shards: int | None = None,
        forget_bias: Any = 1.0,
        state_is_tuple: bool = True,
        activation: str | Callable | None = None,
        reuse: Any = None,
        name: str | tf.VariableScope | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          use_peepholes: bool, default False. True: the gates f and i also see c, and o sees the new c.
          cell_clip: float, default None. c is clipped to [-cell_clip, cell_clip]; 0.0 is a bound, too.
          initializer: a TensorFlow initializer or its Keras name, for all variables except the bias. Default None: the
            initializer of the scope.
          num_proj: P, an int. Default None: no projection.
          proj_clip: float, default None. The projected h is clipped to [-proj_clip, proj_clip].
          num_unit_shards: int, the number of parts that the kernel is partitioned into. Default None: not partitioned.
          num_proj_shards: int, the same for the projection's kernel.
          forget_bias: float, tensor, or a number per unit, default 1.0. Each step adds it to f; it is not in the
            variables.
          state_is_tuple: bool, default True: the state is an `LSTMStateTuple` (c [B, H], h [B, P]). False: the state
            is one tensor [B, H + P], c before h.
          activation: str or function from a tensor to one of the same shape, for j and c. Default None: tanh.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default None: "lstm_cell".
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          **kwargs: `trainable` (bool, default True) and `_scope`, see `RNNCell`.

        Raises:
          TypeError: an unknown argument.
          ValueError: an unknown name of an activation or an initializer, a dtype that is not floating, or a
            size that is not positive.
        """
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name=name, dtype=dtype, **kwargs)
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._initializer = keras_names.initializer(initializer, "LSTMCell")
        self._num_proj = check_projection(num_proj, type(self).__name__)
        self._proj_clip = proj_clip
        self._num_unit_shards = num_unit_shards
        self._num_proj_shards = num_proj_shards
        self._output_size = self._hidden_size
        self._state_size = super().state_size

    @property
    def state_size(self) -> Any:
        return self._state_size

    @property
    def output_size(self) -> Any:
        return self._output_size

    def _add_variables(self, depth: int) -> None:
        options = {"initializer": self._initializer}
        self._add_kernel_and_bias(depth, partitioner=_partitioner(self._num_unit_shards), **options)
        if self._use_peepholes:
            self._w_f_diag = self.add_variable("w_f_diag", [self._num_units], **options)
            self._w_i_diag = self.add_variable("w_i_diag", [self._num_units], **options)
            self._w_o_diag = self.add_variable("w_o_diag", [self._num_units], **options)
        if self._num_proj:
            shape = [self._num_units, self._num_proj]
            partitioner = _partitioner(self._num_proj_shards)
            self._proj_kernel = self.add_variable("projection/kernel", shape, partitioner=partitioner, **options)

    def _extras(self) -> Extras:
        peepholes, projection, projection_clip = None, None, None
        if self._use_peepholes:
            peepholes = [tf.convert_to_tensor(w) for w in (self._w_i_diag, self._w_f_diag, self._w_o_diag)]
        if self._num_proj:
            projection, projection_clip = tf.convert_to_tensor(self._proj_kernel), self._proj_clip
        return Extras(peepholes, self._cell_clip, projection, projection_clip)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._unpack(inputs, state)
        i, j, f, o = self._gates(inputs, h)
        activation = self._activation
        f = f + self._forget_bias
        if self._use_peepholes:
            f, i = f + self._w_f_diag * c, i + self._w_i_diag * c
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * activation(j)
        if self._cell_clip is not None:
            c = tf.clip_by_value(c, -self._cell_clip, self._cell_clip)
        if self._use_peepholes:
            o = o + self._w_o_diag * c
        h = tf.sigmoid(o) * activation(c)
        if self._num_proj:
            h = tf.matmul(h, self._proj_kernel)
            if self._proj_clip is not None:
                h = tf.clip_by_value(h, -self._proj_clip, self._proj_clip)
        return h, self._pack(c, h)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            use_peepholes=self._use_peepholes,
            cell_clip=self._cell_clip,
            initializer=keras_names.initializer_config(self._initializer),
            num_proj=self._num_proj,
            proj_clip=self._proj_clip,
            num_unit_shards=self._num_unit_shards,
            num_proj_shards=self._num_proj_shards,
        )
        return config


def _partitioner(shards: int | None) -> Callable | None:
    return None if shards is None else tf.fixed_size_partitioner(shards)
