"""Cells around a cell. They add no scope: the variables are named as without them."""

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.cell import RNNCell, build, cell_of, config_of


def check_cell(cell, argument="cell"):
    """Raises TypeError unless it has what cells need, whatever its class."""
    needed = ["output_size", "state_size", "__call__"]
    missing = [name for name in needed if not hasattr(cell, name)]
    if not (hasattr(cell, "zero_state") or hasattr(cell, "get_initial_state")):
        missing.append("zero_state")
    if isinstance(cell, type) or missing:
        raise TypeError(f"The argument {argument!r} ({cell!r}) is not an RNNCell: {', '.join(missing)} is missing.")


class CellWrapper(RNNCell):
    """A cell that does something around another one; subclasses say what in `_around`.

    Attributes:
      wrapped_cell: the cell inside.
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        check_cell(cell)
        self.cell = cell

    @property
    def wrapped_cell(self):
        return self.cell

    @property
    def state_size(self):
        return self.cell.state_size

    @property
    def output_size(self):
        return self.cell.output_size

    def zero_state(self, batch_size, dtype):
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return self.cell.zero_state(batch_size, dtype)

    def build(self, inputs_shape):
        if isinstance(self.cell, RNNCell):
            build(self.cell, inputs_shape, self._dtype)
        self.built = True

    def __call__(self, inputs, state, scope=None):
        return self._around(inputs, state, lambda x, s: self.cell(x, s, scope=scope) if scope else self.cell(x, s))

    def _around(self, inputs, state, step):
        """Returns (output, new state), given what the cell inside is called with and that call."""
        raise NotImplementedError(f"{type(self).__name__}._around")

    @property
    def trainable_weights(self):
        return list(getattr(self.cell, "trainable_weights", ()))

    @property
    def non_trainable_weights(self):
        return list(getattr(self.cell, "non_trainable_weights", ()))

    def get_config(self):
        return dict(super().get_config(), cell=config_of(self.cell))

    @classmethod
    def from_config(cls, config):
        return cls(**dict(config, cell=cell_of(config["cell"])))


class ResidualWrapper(CellWrapper):
    """Adds a cell's inputs to its outputs."""

    def __init__(self, cell, residual_fn=None, **kwargs):
        """Takes TensorFlow 1.15's arguments.

        Args:
          cell: the cell.
          residual_fn: makes the output from (inputs, outputs) of the cell; None for their sum.
          **kwargs: see `RNNCell`.
        """
        super().__init__(cell, **kwargs)
        self._residual_fn = residual_fn

    def _around(self, inputs, state, step):
        outputs, new_state = step(inputs, state)
        return (self._residual_fn or _sum)(inputs, outputs), new_state

    def get_config(self):
        return dict(super().get_config(), residual_fn=self._residual_fn)


def _sum(inputs, outputs):
    """Raises ValueError where inputs and outputs differ in structure or shape: adding would broadcast."""
    tf.nest.assert_same_structure(inputs, outputs)
    for x, y in zip(tf.nest.flatten(inputs), tf.nest.flatten(outputs)):
        x.shape.assert_is_compatible_with(y.shape)
    return tf.nest.map_structure(lambda x, y: x + y, inputs, outputs)


class DeviceWrapper(CellWrapper):
    """Runs a cell, and makes its states and variables, on a device."""

    def __init__(self, cell, device, **kwargs):
        """Takes TensorFlow 1.15's arguments.

        Args:
          cell: the cell.
          device: what `tf.device` takes.
          **kwargs: see `RNNCell`.
        """
        super().__init__(cell, **kwargs)
        self._device = device

    def zero_state(self, batch_size, dtype):
        with tf.device(self._device):
            return super().zero_state(batch_size, dtype)

    def build(self, inputs_shape):
        with tf.device(self._device):
            super().build(inputs_shape)

    def _around(self, inputs, state, step):
        with tf.device(self._device):
            return step(inputs, state)

    def get_config(self):
        return dict(super().get_config(), device=self._device)
