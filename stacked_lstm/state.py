"""`LSTMState`: the pair (c, h) of one layer."""

from __future__ import annotations

from typing import Any, NamedTuple


class LSTMStateTuple(NamedTuple):
    """The state of one LSTM layer: a named tuple of the cell state c and the hidden state h.

    `stacked_lstm.LSTMState` and `stacked_lstm.rnn_cell.LSTMStateTuple` are this class. It has the name, the fields and
    the `dtype` of TensorFlow 1's `tf.nn.rnn_cell.LSTMStateTuple`. `tf.nest` and TensorFlow's loops therefore accept
    this class in place of TensorFlow's class.

    B is the batch size, H the number of units, P the size of h. P equals H, unless the cell has a projection.

    Args:
      c: the cell state, [B, H].
      h: the hidden state, [B, P].

    The fields may be tensors, arrays, placeholders or, as the `state_size` of a cell, integers.

    Source: https://github.com/tensorflow/tensorflow/blob/v1.15.5/tensorflow/python/ops/rnn_cell_impl.py

    Example:
      >>> state = stacked_lstm.LSTMState(c=tf.zeros([4, 32]), h=tf.ones([4, 32]))
      >>> c, h = state
      >>> state.h is h, state.dtype
      (True, tf.float32)
      >>> with tf.Session() as session:
      ...     print(session.run(state).h.shape)
      (4, 32)
    """

    c: Any
    h: Any

    @property
    def dtype(self) -> Any:
        """The dtype that both fields have.

        Raises:
          TypeError: the fields have different dtypes.
        """
        if self.c.dtype != self.h.dtype:
            raise TypeError(f"LSTMStateTuple.dtype: c is {self.c.dtype.name}, h is {self.h.dtype.name}")
        return self.c.dtype


LSTMState = LSTMStateTuple


class LSTMSteps(NamedTuple):
    """What one layer computes in all time steps: its states and gates.

    `StackedLSTM` returns one per layer with `return_steps=True`, `numpy_lstm.steps` another. All fields are zero after
    the end of each sequence. T is the number of time steps, B the batch size, H the number of units, P the width of h.

    Args:
      c: the cell state after each step, [B, T, H], or [T, B, H] if time is the first axis.
      h: the hidden state after each step, [B, T, P].
      f: the forget gate, [B, T, H].
      i: the input gate, [B, T, H].
      o: the output gate, [B, T, H].
      g: the candidate, [B, T, H], after dropout on it.

    Example:
      >>> from stacked_lstm import state
      >>> state.LSTMSteps._fields
      ('c', 'h', 'f', 'i', 'o', 'g')
    """

    c: Any
    h: Any
    f: Any
    i: Any
    o: Any
    g: Any
