"""InputProjectionWrapper, OutputProjectionWrapper and EmbeddingWrapper: cells with a layer before or after them.

These wrappers have a scope of their own, and the cell inside makes its variables within it.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.engines.segments import Segment
from stacked_lstm.rnn_cell.base.cell import RNNCell
from stacked_lstm.rnn_cell.base.cell_checks import check_units
from stacked_lstm.rnn_cell.wrappers import rows
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell
from stacked_lstm.rnn_cell.wrappers.configs import cell_of, config_of
from stacked_lstm.rnn_cell.wrappers.linear import _Linear


class _ScopedWrapper(RNNCell):
    """A wrapper with a scope. Subclasses define `call`."""

    def __init__(self, cell: Any, reuse: Any) -> None:
        super().__init__(_reuse=reuse)
        check_cell(cell)
        self._cell = cell

    @property
    def state_size(self) -> Any:
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return self._cell.zero_state(batch_size, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"cell": config_of(self._cell), "reuse": self._reuse}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _ScopedWrapper:
        return cls(**dict(config, cell=cell_of(config["cell"])))


class _ProjectionWrapper(_ScopedWrapper):
    """A wrapper with a linear layer and an activation. Subclasses define `call` and `segment_maker`."""

    _linear: _Linear | None = None  # TensorFlow's name.

    def __init__(self, cell: Any, width: int, activation: Callable | None, reuse: Any) -> None:
        super().__init__(cell, reuse)
        self._width = width
        self._activation = activation

    def _make_layer(self, inputs: Any) -> _Linear:
        """Makes the linear layer unless it is there; returns it. Only the shape and the dtype of inputs matter."""
        if self._linear is None:
            self._linear = _Linear(inputs, self._width, True, function=self.name)
        return self._linear

    def _project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the projected inputs, [B, width]."""
        projected = self._make_layer(inputs)(inputs)
        return self._activation(projected) if self._activation else projected

    def problem_on_engines(self, width: int, dtype: tf.DType) -> str | None:
        """Returns why engines cannot do what the wrapper does; None if they can. See `CellWrapper`."""
        del width
        problem = self._activation and rows.problem(self._activation, [self._width], self._width, dtype)
        return f"the {type(self).__name__} has an activation that {problem}" if problem else None


class InputProjectionWrapper(_ProjectionWrapper):
    """A linear layer on the inputs of a cell.

    It replaces `tf.contrib.rnn.InputProjectionWrapper` of TensorFlow 1.15. The scope is `input_projection_wrapper`,
    with `kernel`, `bias` and the variables of the cell in it.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.InputProjectionWrapper(rnn_cell.LSTMCell(32), 16, activation=tf.nn.relu)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> [v.op.name.split("/", 2)[2] for v in cell.variables]
      ['kernel', 'bias', 'lstm_cell/kernel', 'lstm_cell/bias']
    """

    def __init__(
        self, cell: Any, num_proj: int, activation: Callable | None = None, input_size: Any = None, reuse: Any = None
    ) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          num_proj: int, the width of the cell's inputs.
          activation: function of the projected inputs. Default None: none.
          input_size: ignored.
          reuse: bool or tf.AUTO_REUSE, default None, as for `LSTMCell`.

        Raises:
          TypeError: `cell` is not a cell.
          ValueError: `num_proj` is not positive.
        """
        del input_size
        super().__init__(cell, check_units(num_proj, type(self).__name__, "num_proj"), activation, reuse)
        self._num_proj = num_proj  # TensorFlow's name.

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        return self._cell(self._project(inputs), state)

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        """See `CellWrapper.segment_maker`."""
        with self._enter_scope():
            self._make_layer(tf.TensorSpec(inputs_shape, dtype))
            make = self._cell.segment_maker([None, self._width], dtype)
        return lambda: Segment([make()], before=functools.partial(rows.apply, self._project))

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), num_proj=self._width, activation=self._activation)


class OutputProjectionWrapper(_ProjectionWrapper):
    """A linear layer on the outputs of a cell.

    It replaces `tf.contrib.rnn.OutputProjectionWrapper` of TensorFlow 1.15. The scope is `output_projection_wrapper`,
    with the variables of the cell, `kernel` and `bias` in it.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.OutputProjectionWrapper(rnn_cell.GRUCell(32), 5)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.shape.as_list()
      ([4, 20, 5], [4, 32])
    """

    def __init__(self, cell: Any, output_size: int, activation: Callable | None = None, reuse: Any = None) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          output_size: int, the width of the outputs.
          activation: function of the projected outputs. Default None: none.
          reuse: bool or tf.AUTO_REUSE, default None, as for `LSTMCell`.

        Raises:
          TypeError: `cell` is not a cell.
          ValueError: `output_size` is not positive.
        """
        super().__init__(cell, output_size, activation, reuse)
        if output_size < 1:
            raise ValueError(f"Parameter output_size must be > 0: {output_size}.")
        self._output_size = output_size  # TensorFlow's name.

    @property
    def output_size(self) -> Any:
        return self._width

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        outputs, new_state = self._cell(inputs, state)
        return self._project(outputs), new_state

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        """See `CellWrapper.segment_maker`."""
        with self._enter_scope():
            make = self._cell.segment_maker(inputs_shape, dtype)
            self._make_layer(tf.TensorSpec([None, self._cell.output_size], dtype))
        return lambda: Segment([make()], after=lambda x, h: rows.apply(self._project, h))

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), output_size=self._width, activation=self._activation)


class EmbeddingWrapper(_ScopedWrapper):
    """A table of vectors for integer inputs of a cell.

    It replaces `tf.contrib.rnn.EmbeddingWrapper` of TensorFlow 1.15. Inputs are integers [B, 1] or [B]. The scope is
    `embedding_wrapper`, with `embedding` [classes, size] and the variables of the cell in it. Table and cell are on the
    CPU.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.EmbeddingWrapper(rnn_cell.LSTMCell(32), embedding_classes=100, embedding_size=16)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 1], tf.int32), dtype=tf.float32)
      >>> outputs.shape.as_list(), cell.variables[0].op.name
      ([4, 20, 32], 'rnn/embedding_wrapper/embedding')
    """

    def __init__(
        self, cell: Any, embedding_classes: int, embedding_size: int, initializer: Any = None, reuse: Any = None
    ) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          embedding_classes: int, the number of integers.
          embedding_size: int, the width of the vectors.
          initializer: a TensorFlow initializer of the table. Default None: the initializer of the scope, or else
            uniform between -sqrt(3) and sqrt(3), whose variance is 1.
          reuse: bool or tf.AUTO_REUSE, default None, as for `LSTMCell`.

        Raises:
          TypeError: `cell` is not a cell.
          ValueError: `embedding_classes` or `embedding_size` is not positive.
        """
        super().__init__(cell, reuse)
        if embedding_classes <= 0 or embedding_size <= 0:
            raise ValueError(
                f"Both embedding_classes and embedding_size must be > 0: {embedding_classes}, {embedding_size}."
            )
        self._embedding_classes = embedding_classes
        self._embedding_size = embedding_size
        self._initializer = initializer

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        bound = math.sqrt(3)
        default = tf.get_variable_scope().initializer or tf.random_uniform_initializer(-bound, bound)
        with tf.device("/cpu:0"):
            embedding = tf.get_variable(
                "embedding",
                [self._embedding_classes, self._embedding_size],
                (state[0] if isinstance(state, tuple) else state).dtype,
                self._initializer or default,
            )
            return self._cell(tf.nn.embedding_lookup(embedding, tf.reshape(inputs, [-1])), state)

    def get_config(self) -> dict[str, Any]:
        return dict(
            super().get_config(),
            embedding_classes=self._embedding_classes,
            embedding_size=self._embedding_size,
            initializer=self._initializer,
        )
