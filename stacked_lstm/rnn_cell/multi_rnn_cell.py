"""MultiRNNCell: cells on top of each other."""

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.cell import RNNCell, build, cell_of, config_of, keeping, remember

# Members of cells -> which of their variables these list, by whether they are trainable.
_LISTED = {"trainable_weights": [True], "non_trainable_weights": [False], "weights": [True, False]}


class MultiRNNCell(RNNCell):
    """A stack of cells; each one's output is the next one's input.

    Cell k makes its variables in `multi_rnn_cell/cell_<k>`. The cells may be of any kind.
    """

    def __init__(self, cells, state_is_tuple=True):
        """Takes TensorFlow 1.15's arguments.

        Args:
          cells: a list or tuple of cells, from the input upwards.
          state_is_tuple: False for one state tensor, the cells' states side by side.

        Raises:
          TypeError: `cells` is not a list or tuple.
          ValueError: there are none, or some have tuples for states where `state_is_tuple` is False.
        """
        super().__init__()
        if not isinstance(cells, (list, tuple)):
            raise TypeError(f"cells must be a list or tuple, but saw: {cells}.")
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        self._cells = list(cells)
        self._state_is_tuple = state_is_tuple
        self._variables_of_cells = [[] for _ in cells]
        sizes = [cell.state_size for cell in cells]
        if not state_is_tuple and any(isinstance(size, (list, tuple)) for size in sizes):
            raise ValueError(
                f"Some cells return tuples of states, but the flag state_is_tuple is not set.  State sizes are: {sizes}"
            )

    @property
    def cells(self):
        return list(self._cells)

    @property
    def state_size(self):
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self):
        return self._cells[-1].output_size

    def zero_state(self, batch_size, dtype):
        if not self._state_is_tuple:
            return super().zero_state(batch_size, dtype)
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def _build_for(self, inputs):
        """In a call the cells build themselves, each in its turn."""

    def build(self, inputs_shape):
        """Makes the variables of those cells that can be built before they are called."""
        called = self._called
        with self._in_scope():
            for k, cell in enumerate(self._cells):
                if isinstance(cell, RNNCell):
                    with self._scope_of(k):
                        build(cell, inputs_shape, self._dtype)
                inputs_shape = tf.TensorShape([None]).concatenate(cell.output_size)
        self._called = called  # Before the first call, cells that make their variables there have yet to do so.
        self.built = True

    def call(self, inputs, state):
        if self._state_is_tuple:
            if not isinstance(state, (list, tuple)) or len(state) != len(self._cells):
                raise ValueError(f"Expected state to be a tuple of length {len(self._cells)}, but received: {state}")
            states = state
        else:
            states = tf.split(state, [cell.state_size for cell in self._cells], axis=1)
        new_states = []
        for k, (cell, cell_state) in enumerate(zip(self._cells, states)):
            with self._scope_of(k):
                inputs, new_state = cell(inputs, cell_state)
                new_states.append(new_state)
        return inputs, tuple(new_states) if self._state_is_tuple else tf.concat(new_states, axis=1)

    def _scope_of(self, k):
        """The scope of cell k, in which its variables are remembered, whoever makes them."""
        return tf.variable_scope(f"cell_{k}", custom_getter=keeping(self._variables_of_cells[k]))

    @property
    def trainable_weights(self):
        return self._gather("trainable_weights") if self.trainable else []

    @property
    def non_trainable_weights(self):
        return self._gather("non_trainable_weights") if self.trainable else self._gather("weights")

    def _gather(self, members):
        """Variables of the cells, cell by cell; those of a cell that keeps no lists are what it was seen to make."""
        gathered = []
        for cell, seen in zip(self._cells, self._variables_of_cells):
            own = getattr(cell, members, [])
            if not getattr(cell, "weights", []):
                own = [variable for variable in seen if variable.trainable in _LISTED[members]]
            for variable in own:
                remember(variable, gathered)
        return gathered

    def get_config(self):
        return {"cells": [config_of(cell) for cell in self._cells], "state_is_tuple": self._state_is_tuple}

    @classmethod
    def from_config(cls, config):
        return cls(**dict(config, cells=[cell_of(cell) for cell in config["cells"]]))
