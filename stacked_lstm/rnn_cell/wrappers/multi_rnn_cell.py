"""MultiRNNCell: cells on top of each other."""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines.segments import Segment
from stacked_lstm.rnn_cell.base.cell import RNNCell, build
from stacked_lstm.rnn_cell.base.cell_checks import check_no_class
from stacked_lstm.rnn_cell.base.variables import record, recording_getter
from stacked_lstm.rnn_cell.wrappers.configs import cell_of, config_of

# Name of a list of variables -> whether the variables in it are trainable.
_TRAINABLE = {"trainable_weights": [True], "non_trainable_weights": [False], "weights": [True, False]}


class MultiRNNCell(RNNCell):
    """A stack of cells; the output of each cell is the input of the next one.

    It replaces `tf.nn.rnn_cell.MultiRNNCell` (also `tf.contrib.rnn.MultiRNNCell`) of TensorFlow 1.15. The cells may
    be of any class. The variables of cell k are in the scope `multi_rnn_cell/cell_<k>`, k from 0.

    Attributes:
      cells: list of the cells, from the input upwards.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(n) for n in (32, 64)])
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), [layer.c.shape.as_list() for layer in state]
      ([4, 20, 64], [[4, 32], [4, 64]])
      >>> cell.variables[0].op.name
      'rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel'
    """

    def __init__(self, cells: Sequence[Any], state_is_tuple: bool = True) -> None:
        """Initializes the stack with TensorFlow 1.15's arguments.

        Args:
          cells: list or tuple of cells, from the input upwards.
          state_is_tuple: bool, default True: the state is a tuple of the cells' states. False: the state is one tensor
            with the cells' states side by side; each cell then needs `state_is_tuple=False`, too.

        Raises:
          TypeError: `cells` is not a list or tuple, or has something in it that is no cell.
          ValueError: `cells` is empty, or a cell has a tuple for its state although `state_is_tuple` is False.
        """
        super().__init__()
        if not isinstance(cells, (list, tuple)):
            raise TypeError(f"cells must be a list or tuple, but saw: {checks.describe(cells)}.")
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        for k, cell in enumerate(cells):
            check_no_class(cell, f"cells[{k}]")
            if not hasattr(type(cell), "state_size") and not hasattr(cell, "state_size"):
                raise TypeError(f"The argument 'cells[{k}]' ({checks.describe(cell)}) is not an RNNCell.")
        self._cells = list(cells)
        self._state_is_tuple = state_is_tuple
        self._cell_variables: list[list[tf.Variable]] = [[] for _ in cells]
        sizes = [cell.state_size for cell in cells]
        if not state_is_tuple and any(isinstance(size, (list, tuple)) for size in sizes):
            raise ValueError(
                "Some cells return tuples of states, but MultiRNNCell has state_is_tuple=False. State sizes are: "
                f"{sizes}"
            )

    @property
    def cells(self) -> list[Any]:
        return list(self._cells)

    @property
    def state_size(self) -> Any:
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        return self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        if not self._state_is_tuple:
            return super().zero_state(batch_size, dtype)
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def _build_from_inputs(self, inputs: Any) -> None:
        del inputs  # In a call each cell builds itself when its turn comes.

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables of all cells that can make them before they are called.

        Args:
          inputs_shape: [B, I], a list or a `tf.TensorShape`.
        """
        called = self._called
        with self._enter_scope():
            for k, cell in enumerate(self._cells):
                if isinstance(cell, RNNCell):
                    with self._cell_scope(k):
                        build(cell, inputs_shape, self._dtype)
                inputs_shape = tf.TensorShape([None]).concatenate(cell.output_size)
        self._called = called  # Cells that make their variables in `call` still have to make them in the first call.
        self.built = True

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        if self._state_is_tuple:
            if not isinstance(state, (list, tuple)) or len(state) != len(self._cells):
                raise ValueError(
                    f"Expected state to be a tuple of length {len(self._cells)}, but received: {checks.describe(state)}"
                )
            states = state
        else:
            state = tf.convert_to_tensor(state)
            if state.shape.as_list()[1] != self.state_size:
                state = state[:, : self.state_size]  # As in TensorFlow 1.15, other columns are ignored.
            states = tf.split(state, [cell.state_size for cell in self._cells], axis=1)
        new_states = []
        for k, (cell, cell_state) in enumerate(zip(self._cells, states)):
            with self._cell_scope(k):
                inputs, new_state = cell(inputs, cell_state)
                new_states.append(new_state)
        return inputs, tuple(new_states) if self._state_is_tuple else tf.concat(new_states, axis=1)

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        """See `CellWrapper.segment_maker`. The cells are LSTM cells, stacks or wrappers."""
        makers = []
        with self._enter_scope():
            for k, cell in enumerate(self._cells):
                with self._cell_scope(k):
                    makers.append(cell.segment_maker(inputs_shape, dtype))
                inputs_shape = [None, cell.output_size]
        self._dtype = self._dtype or dtype.name
        self.built = True
        return lambda: Segment([make() for make in makers])

    def _cell_scope(self, k: int) -> Any:
        """The scope of cell k. It records all variables that are made in it, whoever makes them."""
        return tf.variable_scope(f"cell_{k}", custom_getter=recording_getter(self._cell_variables[k]))

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return self._gather("trainable_weights") if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return self._gather("non_trainable_weights") if self.trainable else self._gather("weights")

    def _gather(self, attribute: str) -> list[tf.Variable]:
        """Returns the variables of all cells. A cell without such a list has those that its scope recorded."""
        gathered: list[tf.Variable] = []
        for cell, recorded in zip(self._cells, self._cell_variables):
            variables = getattr(cell, attribute, [])
            if not getattr(cell, "weights", []):
                variables = [variable for variable in recorded if variable.trainable in _TRAINABLE[attribute]]
            for variable in variables:
                record(variable, gathered)
        return gathered

    def get_config(self) -> dict[str, Any]:
        return {"cells": [config_of(cell) for cell in self._cells], "state_is_tuple": self._state_is_tuple}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MultiRNNCell:
        return cls(**dict(config, cells=[cell_of(cell) for cell in config["cells"]]))
