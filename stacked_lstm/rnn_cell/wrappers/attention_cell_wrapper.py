"""AttentionCellWrapper: a cell that attends to its own last outputs."""

from __future__ import annotations

from typing import Any

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base.cell import RNNCell
from stacked_lstm.rnn_cell.base.cell_checks import check_tuple
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell
from stacked_lstm.rnn_cell.wrappers.configs import cell_of, config_of
from stacked_lstm.rnn_cell.wrappers.linear import _linear


class AttentionCellWrapper(RNNCell):
    """A cell that attends to its own last outputs.

    It replaces `tf.contrib.rnn.AttentionCellWrapper` of TensorFlow 1.15. L is the number of outputs that it attends
    to, A their width. The inputs of the cell are a linear map of the inputs and the last attention. The outputs are
    another linear map, of the cell's output and the new attention. The state is a tuple (state of the cell, attention
    [B, A], last outputs [B, L A]). The variables of the cell and of the wrapper are in the scope
    `attention_cell_wrapper`.

    Source: Cheng, Dong and Lapata, Long Short-Term Memory-Networks for Machine Reading, 2016,
    https://arxiv.org/abs/1601.06733.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.AttentionCellWrapper(rnn_cell.LSTMCell(32), attn_length=5)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), [part.shape.as_list() for part in state[1:]]
      ([4, 20, 32], [[4, 32], [4, 160]])
    """

    def __init__(
        self,
        cell: Any,
        attn_length: int,
        attn_size: int | None = None,
        attn_vec_size: int | None = None,
        input_size: int | None = None,
        state_is_tuple: bool = True,
        reuse: Any = None,
    ) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          attn_length: L, an int.
          attn_size: A, an int. Default None: the cell's output size.
          attn_vec_size: int, the width of the layer that scores the outputs. Default None: A.
          input_size: int, the width of the cell's inputs. Default None: the width of the wrapper's inputs.
          state_is_tuple: bool, default True. False: the state is one tensor with the three parts side by side.
          reuse: bool or tf.AUTO_REUSE, default None, as for `LSTMCell`.

        Raises:
          TypeError: `cell` is not a cell.
          ValueError: `attn_length` is not positive; the cell has a tuple for its state although `state_is_tuple` is
            False.
        """
        super().__init__(_reuse=reuse)
        check_cell(cell)
        if tf.nest.is_nested(cell.state_size) and not state_is_tuple:
            raise ValueError(
                "Cell returns tuple of states, but the flag state_is_tuple is not set. "
                f"State size is: {cell.state_size}"
            )
        if not hasattr(attn_length, "__index__") or attn_length <= 0:
            raise ValueError(f"attn_length should be greater than zero, got {checks.describe(attn_length)}")
        self._cell = cell
        self._attn_length = attn_length
        self._attn_size = cell.output_size if attn_size is None else attn_size
        self._attn_vec_size = self._attn_size if attn_vec_size is None else attn_vec_size
        self._input_size = input_size
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self) -> Any:
        sizes = (self._cell.state_size, self._attn_size, self._attn_size * self._attn_length)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        return self._attn_size

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        if not self._state_is_tuple:
            sizes = [self._cell.state_size, self._attn_size, self._attn_size * self._attn_length]
            state = tf.split(state, sizes, axis=1)
        check_tuple(self, state, "(state of the cell, attention, memory)")
        state, attention, memory = state
        memory = tf.reshape(memory, [-1, self._attn_length, self._attn_size])
        input_size = self._input_size or inputs.shape.as_list()[1]
        cell_output, new_state = self._cell(_linear([inputs, attention], input_size, True, function=self.name), state)
        query = tf.concat(tf.nest.flatten(new_state), axis=1)
        new_attention, memory = self._attention(query, memory)
        with tf.variable_scope("attn_output_projection"):
            output = _linear([cell_output, new_attention], self._attn_size, True, function=self.name)
        new_memory = tf.concat([memory, output[:, None]], axis=1)
        new_memory = tf.reshape(new_memory, [-1, self._attn_length * self._attn_size])
        new_state = (new_state, new_attention, new_memory)
        return output, new_state if self._state_is_tuple else tf.concat(new_state, axis=1)

    def _attention(self, query: tf.Tensor, attn_states: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Attends to the last outputs. Subclasses may override it, as in TensorFlow.

        Args:
          query: [B, size of the cell's state].
          attn_states: the last outputs, [B, L, A].

        Returns:
          (their sum, weighted by a softmax of their scores, [B, A]; those that stay, [B, L - 1, A]).
        """
        with tf.variable_scope("attention"):
            kernel = tf.get_variable("attn_w", [1, 1, self._attn_size, self._attn_vec_size])
            scorer = tf.get_variable("attn_v", [self._attn_vec_size])
            hidden = attn_states[:, :, None]
            features = tf.nn.conv2d(hidden, kernel, [1, 1, 1, 1], "SAME")
            query = _linear([query], self._attn_vec_size, True, function=self.name)[:, None, None]
        scores = tf.reduce_sum(scorer * tf.tanh(features + query), [2, 3])
        weights = tf.nn.softmax(scores)[:, :, None, None]
        attention = tf.reduce_sum(weights * hidden, [1, 2])
        return tf.reshape(attention, [-1, self._attn_size]), attn_states[:, 1:]

    def get_config(self) -> dict[str, Any]:
        return {
            "cell": config_of(self._cell),
            "attn_length": self._attn_length,
            "attn_size": self._attn_size,
            "attn_vec_size": self._attn_vec_size,
            "input_size": self._input_size,
            "state_is_tuple": self._state_is_tuple,
            "reuse": self._reuse,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AttentionCellWrapper:
        return cls(**dict(config, cell=cell_of(config["cell"])))
