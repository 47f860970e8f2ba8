"""DropoutWrapper: dropout on a cell's inputs, outputs and states.

With the same seeds the masks are those of TensorFlow 1.15: each place of a nest has a seed of its own, made from the
wrapper's by the same hash.
"""

import hashlib
import itertools

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.wrappers import CellWrapper
from stacked_lstm.state import LSTMStateTuple


class DropoutWrapper(CellWrapper):
    """Drops out a cell's inputs, outputs and new states, each with a probability of its own.

    A new mask in every step, or, if `variational_recurrent`, one for all steps and all sequences (Gal and Ghahramani, A
    Theoretically Grounded Application of Dropout in Recurrent Neural Networks, NeurIPS 2016). The cell state c is never
    dropped out unless a filter of yours says so.
    """

    def __init__(
        self,
        cell,
        input_keep_prob=1.0,
        output_keep_prob=1.0,
        state_keep_prob=1.0,
        variational_recurrent=False,
        input_size=None,
        dtype=None,
        seed=None,
        dropout_state_filter_visitor=None,
        **kwargs,
    ):
        """Takes TensorFlow 1.15's arguments.

        Args:
          cell: the cell.
          input_keep_prob, output_keep_prob, state_keep_prob: numbers from 0 to 1, or scalar tensors or variables; with
            the number 1 nothing is added to the graph.
          variational_recurrent: whether all steps share a mask.
          input_size: for that, a nest of sizes of the inputs, where inputs are dropped out.
          dtype: for that, of inputs, states and outputs.
          seed: an int, or None for other masks in every session.
          dropout_state_filter_visitor: function of a state, or of a part of one, that returns whether to drop it out,
            or a tuple of that for its parts; by default all but c of an LSTM.
          **kwargs: see `RNNCell`.

        Raises:
          TypeError: the filter is not callable.
          ValueError: a probability out of its range, or `dtype` or `input_size` is missing.
        """
        super().__init__(cell, dtype=dtype, **kwargs)
        if dropout_state_filter_visitor is not None and not callable(dropout_state_filter_visitor):
            raise TypeError("DropoutWrapper: expected a callable `dropout_state_filter_visitor`")
        self._filter = dropout_state_filter_visitor or _all_but_c
        self._input_keep_prob = _probability(input_keep_prob, "input_keep_prob")
        self._state_keep_prob = _probability(state_keep_prob, "state_keep_prob")
        self._output_keep_prob = _probability(output_keep_prob, "output_keep_prob")
        self._variational_recurrent = variational_recurrent
        self._input_size = input_size
        self._seed = seed
        self._noise = self._shared_noise(dtype) if variational_recurrent else {}

    @property
    def drops_nothing(self):
        """Whether all probabilities are the number 1."""
        return not any(_drops(p) for p in (self._input_keep_prob, self._state_keep_prob, self._output_keep_prob))

    def _shared_noise(self, dtype):
        """Uniform noise [1, size] for the places of inputs, states and outputs, the same in every step."""
        if dtype is None:
            checks.fail("DropoutWrapper", "`dtype` if `variational_recurrent`", None)
        sizes = {"state": self.cell.state_size, "output": self.cell.output_size}
        if _drops(self._input_keep_prob):
            if self._input_size is None:
                checks.fail(
                    "DropoutWrapper", "`input_size` if `variational_recurrent` and inputs are dropped out", None
                )
            sizes["input"] = self._input_size
        noise = {}
        for place, nest in sizes.items():
            index = itertools.count()
            noise[place] = tf.nest.map_structure(
                lambda size: tf.random_uniform(
                    [1] + tf.TensorShape(size).as_list(), seed=self._gen_seed(place, next(index)), dtype=dtype
                ),
                nest,
            )
        return noise

    def _gen_seed(self, place, index):
        if self._seed is None:
            return None
        digest = hashlib.md5(f"{self._seed}{place}_{index}".encode()).hexdigest()
        return int(digest[:8], 16) & 0x7FFFFFFF

    def _around(self, inputs, state, step):
        output, new_state = step(self._drop("input", inputs, self._input_keep_prob), state)
        new_state = self._drop("state", new_state, self._state_keep_prob, self._filter)
        return self._drop("output", output, self._output_keep_prob), new_state

    def _drop(self, place, values, keep_prob, wanted=lambda _: True):
        """`values` after dropout of those parts that `wanted`, a filter, wants."""
        if not _drops(keep_prob):
            return values
        index = itertools.count()

        def walk(value, noise, want):
            if tf.nest.is_nested(value) and want is not False:
                keys = sorted(value) if isinstance(value, dict) else range(len(value))
                wants = {key: want if isinstance(want, bool) else want[key] for key in keys}
                noises = {key: None if noise is None else noise[key] for key in keys}
                parts = [walk(value[key], noises[key], wants[key] and wanted(value[key])) for key in keys]
                return tf.nest.pack_sequence_as(value, tf.nest.flatten(parts))
            k = next(index)
            if want is False:
                return value
            if self._variational_recurrent:
                return _shared_dropout(value, noise, keep_prob)
            rate = 1.0 - (tf.cast(keep_prob, value.dtype) if tf.is_tensor(keep_prob) else keep_prob)
            return tf.nn.dropout(value, rate=rate, seed=self._gen_seed(place, k))

        return walk(values, self._noise.get(place), wanted(values))

    def get_config(self):
        config = super().get_config()
        config.update(
            input_keep_prob=self._input_keep_prob,
            output_keep_prob=self._output_keep_prob,
            state_keep_prob=self._state_keep_prob,
            variational_recurrent=self._variational_recurrent,
            input_size=self._input_size,
            seed=self._seed,
            dropout_state_filter_visitor=None if self._filter is _all_but_c else self._filter,
        )
        return config


def _probability(value, argument):
    """`value` as a float if it is constant, rounded to float32 as TensorFlow 1.15 does, else as a tensor."""
    value = tf.convert_to_tensor(value)
    constant = tf.get_static_value(value)
    if constant is None:
        return value
    if not 0 <= constant <= 1:
        checks.fail("DropoutWrapper", f"`{argument}` between 0 and 1", constant)
    return float(constant)


def _drops(keep_prob):
    return tf.is_tensor(keep_prob) or keep_prob < 1


def _shared_dropout(value, noise, keep_prob):
    """Dropout with given noise, uniform on [0, 1): a place is kept where keep_prob + noise is at least 1."""
    if tf.is_tensor(keep_prob):
        keep_prob = tf.cast(keep_prob, value.dtype)
    dropped = value / keep_prob * tf.floor(keep_prob + noise)
    dropped.set_shape(value.shape)
    return dropped


def _all_but_c(state):
    if isinstance(state, tuple) and getattr(state, "_fields", None) == LSTMStateTuple._fields:
        return LSTMStateTuple(c=False, h=True)
    return not isinstance(state, tf.TensorArray)
