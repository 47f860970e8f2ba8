"""DropoutWrapper: dropout on a cell's inputs, outputs and states.

With the same seeds the masks of a step are those of TensorFlow 1.15. Each leaf of a nest has a seed of its own, which
the same hash makes from the wrapper's seed.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable

from stacked_lstm import checks, graph_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import segments
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.rnn_cell.wrappers import dropout_states
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import CellWrapper
from stacked_lstm.rnn_cell.wrappers.dropout_states import Leaf, Part
from stacked_lstm.state import LSTMStateTuple


class DropoutWrapper(CellWrapper):
    """Dropout on a cell's inputs, outputs and new states, each with a probability of its own.

    It replaces `tf.nn.rnn_cell.DropoutWrapper` (also `tf.contrib.rnn.DropoutWrapper`) of TensorFlow 1.15. Each step
    draws a new mask for each sequence. With `variational_recurrent`, all steps and all sequences share one mask. The
    cell state c is never dropped out, unless `dropout_state_filter_visitor` says so. Kept values are divided by their
    probability.

    On an engine, the masks of all steps are drawn at once. They have the same distribution as those of TensorFlow's
    loop, but other bits; `dynamic_rnn(..., engine="stepwise")` has TensorFlow's bits. With `variational_recurrent` the
    bits are TensorFlow's on every engine. A probability that is a tensor, such as a placeholder, may be 1 when the
    graph runs. On the engine `native` and in TensorFlow's loop, the numbers are then exactly those without the wrapper.
    On other engines, they may differ from those by rounding.

    Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, NeurIPS
    2016, https://arxiv.org/abs/1512.05287 (the variational one); Zaremba, Sutskever and Vinyals, 2014,
    https://arxiv.org/abs/1409.2329 (on outputs only).

    Attributes:
      wrapped_cell: the cell inside.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(32), output_keep_prob=0.5, seed=1)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.ones([4, 20, 8]), dtype=tf.float32)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     dropped = session.run(outputs) == 0
      >>> print(0.4 < dropped.mean() < 0.6)
      True
    """

    def __init__(
        self,
        cell: Any,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: Any = None,
        seed: int | None = None,
        dropout_state_filter_visitor: Callable[[Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          input_keep_prob: probability that an entry of the inputs is kept, from 0 to 1: a float, a scalar tensor or a
            variable. Default 1.0: no dropout, and no operation for it.
          output_keep_prob: the same for the outputs.
          state_keep_prob: the same for the new states.
          variational_recurrent: bool, default False: a new mask for each step and sequence. True: one mask for all.
          input_size: int, `tf.TensorShape` or a nest of them, the size of the inputs without their batch dimension.
            Only `variational_recurrent` with dropout on the inputs needs it. Default None.
          dtype: tf.DType of inputs, states and outputs. Only `variational_recurrent` needs it. Default None.
          seed: int, for the same masks in every session. Default None: other masks in every session.
          dropout_state_filter_visitor: function from a state, or a part of one, to what is dropped out of it: a bool,
            or a nest with a bool for each of its parts. Default None: everything except the c of an `LSTMStateTuple`.
          **kwargs: arguments of `RNNCell`.

        Raises:
          TypeError: `cell` is not a cell, `dropout_state_filter_visitor` is not callable, or an unknown argument.
          ValueError: a probability is not between 0 and 1, or `dtype` or `input_size` is missing.
        """
        super().__init__(cell, dtype=dtype, **kwargs)
        if dropout_state_filter_visitor is not None and not callable(dropout_state_filter_visitor):
            raise TypeError(
                "DropoutWrapper: expected a callable `dropout_state_filter_visitor`, "
                f"got {dropout_state_filter_visitor!r}"
            )
        self._dropout_state_filter = dropout_state_filter_visitor or _select_all_except_c
        self._input_keep_prob = _probability(input_keep_prob, "input_keep_prob")
        self._state_keep_prob = _probability(state_keep_prob, "state_keep_prob")
        self._output_keep_prob = _probability(output_keep_prob, "output_keep_prob")
        self._variational_recurrent = variational_recurrent
        self._input_size = input_size
        self._seed = seed
        self._recurrent_input_noise: Any = None
        self._recurrent_state_noise: Any = None
        self._recurrent_output_noise: Any = None
        if variational_recurrent:
            self._make_recurrent_noise(dtype)

    def _make_recurrent_noise(self, dtype: Any) -> None:
        """Makes the noise that all steps share: uniform on [0, 1), a tensor [1] + size for each leaf of a nest."""
        if dtype is None:
            checks.fail("DropoutWrapper", "a `dtype` with variational_recurrent=True", None)

        def noise(place: str, sizes: Any) -> Any:
            index = itertools.count()

            def uniform(size: Any) -> tf.Tensor:
                shape = [1] + tf.TensorShape(size).as_list()
                return tf.random_uniform(shape, seed=self._gen_seed(place, next(index)), dtype=dtype)

            return tf.nest.map_structure(uniform, sizes)

        if _drops(self._input_keep_prob):
            if self._input_size is None:
                checks.fail("DropoutWrapper", "an `input_size` with variational_recurrent=True and input dropout", None)
            self._recurrent_input_noise = noise("input", self._input_size)
        self._recurrent_state_noise = noise("state", self.cell.state_size)
        self._recurrent_output_noise = noise("output", self.cell.output_size)

    def _gen_seed(self, salt_prefix: str, index: int) -> Any:
        return dropout_masks.seed_at(f"{salt_prefix}_{index}", self._seed)

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable, **kwargs: Any) -> tuple[Any, Any]:
        self._check_graph(inputs)
        inputs = self._dropout(inputs, "input", self._recurrent_input_noise, self._input_keep_prob)
        output, new_state = cell_call_fn(inputs, state, **kwargs)
        noise, visitor = self._recurrent_state_noise, self._dropout_state_filter
        new_state = self._dropout(new_state, "state", noise, self._state_keep_prob, visitor)
        return self._dropout(output, "output", self._recurrent_output_noise, self._output_keep_prob), new_state

    def _dropout(
        self,
        values: Any,
        salt_prefix: str,
        recurrent_noise: Any,
        keep_prob: Any,
        visitor: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Returns the nest `values` after dropout of those parts that `visitor` selects; None selects all."""
        if not _drops(keep_prob):
            return values
        leaves = dropout_states.leaves(values, visitor or _select_all)
        noises = [None] * len(leaves) if recurrent_noise is None else tf.nest.flatten(recurrent_noise)

        def drop(leaf: Leaf, noise: Any) -> Any:
            if not leaf.selected:
                return leaf.value
            if self._variational_recurrent:
                return self._variational_recurrent_dropout_value(leaf.number, leaf.value, noise, keep_prob)
            rate = 1.0 - (tf.cast(keep_prob, leaf.value.dtype) if tf.is_tensor(keep_prob) else keep_prob)
            return tf.nn.dropout(leaf.value, rate=rate, seed=self._gen_seed(salt_prefix, leaf.number))

        return tf.nest.pack_sequence_as(values, [drop(leaf, noise) for leaf, noise in zip(leaves, noises)])

    def _variational_recurrent_dropout_value(
        self, unused_index: int, value: tf.Tensor, noise: tf.Tensor, keep_prob: Any
    ) -> tf.Tensor:
        """Dropout with noise uniform on [0, 1): an entry is kept if keep_prob + noise is at least 1.

        Subclasses may override it, as in TensorFlow.
        """
        if tf.is_tensor(keep_prob):
            keep_prob = tf.cast(keep_prob, value.dtype)
        dropped = value / keep_prob * tf.floor(keep_prob + noise)
        dropped.set_shape(value.shape)
        return dropped

    def problem_on_engines(self, width: int, dtype: tf.DType) -> str | None:
        if _drops(self._state_keep_prob) and self._selected_leaves() is None:
            return "a DropoutWrapper has a dropout_state_filter_visitor that needs the tensors of TensorFlow's loop"
        noise = self._recurrent_input_noise
        if noise is not None and not (tf.is_tensor(noise) and noise.shape.is_compatible_with([1, width])):
            return f"a DropoutWrapper has an input_size that is not {width}"
        return None

    def _check_graph(self, inputs: Any = None) -> None:
        """Raises ValueError if the noise that all steps share is in another graph than the call."""
        noises = [self._recurrent_input_noise, self._recurrent_state_noise, self._recurrent_output_noise]
        tensors = [noise for noise in tf.nest.flatten(noises) if noise is not None]
        graph_checks.same_graph(tensors, self.name, inputs, "variational dropout")

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        self._check_graph()
        make = self.cell.segment_maker(inputs_shape, dtype)
        return lambda: self._segment(make())

    def _segment(self, inner: Segment) -> Segment:
        def drop(series: tf.Tensor, place: str, noise: Any, keep_prob: Any) -> tf.Tensor:
            if self._variational_recurrent:
                return dropout_masks.drop_in_all_steps(series, keep_prob, noise)
            return dropout_masks.drop_in_each_step(series, keep_prob, self._gen_seed(place, 0))

        def drop_inputs(x: tf.Tensor) -> tf.Tensor:
            return drop(x, "input", self._recurrent_input_noise, self._input_keep_prob)

        def drop_outputs(x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
            return drop(h, "output", self._recurrent_output_noise, self._output_keep_prob)

        if _drops(self._state_keep_prob):
            inner = self._with_dropout_on_states(inner)
        return Segment(
            [inner],
            before=drop_inputs if _drops(self._input_keep_prob) else None,
            after=drop_outputs if _drops(self._output_keep_prob) else None,
        )

    def _selected_leaves(self) -> list[bool] | None:
        """Returns for each tensor of the state whether it is dropped out; None if only TensorFlow's loop can tell."""
        return dropout_states.selected_leaves(self.state_size, self._dropout_state_filter)

    def _with_dropout_on_states(self, inner: Segment) -> Segment:
        """Returns the layers of a tree with dropout on the selected ones of their c and h."""
        keep_prob, selected = self._state_keep_prob, self._selected_leaves() or []
        if self._variational_recurrent:
            noises = tf.nest.flatten(self._recurrent_state_noise)

            def mask(part: Part) -> tf.Tensor:
                return dropout_masks.mask_for_all_steps(keep_prob, noises[part.leaf][:, part.columns])

            return dropout_states.with_mask_for_all_steps(inner, self.state_size, selected, mask)
        dtype = segments.layers(inner)[0].dtype

        def draw(part: Part, shape: tf.Tensor) -> tf.Tensor:
            return dropout_masks.draw(shape, keep_prob, self._gen_seed("state", part.number), dtype, ones=1)

        return dropout_states.with_mask_per_step(inner, self.state_size, selected, draw)

    def get_config(self) -> dict[str, Any]:
        visitor = self._dropout_state_filter
        config = super().get_config()
        config.update(
            input_keep_prob=self._input_keep_prob,
            output_keep_prob=self._output_keep_prob,
            state_keep_prob=self._state_keep_prob,
            variational_recurrent=self._variational_recurrent,
            input_size=self._input_size,
            seed=self._seed,
            dropout_state_filter_visitor=None if visitor is _select_all_except_c else visitor,
        )
        return config


def _probability(value: Any, argument: str) -> Any:
    """Returns a constant as a float, rounded to float32 as in TensorFlow 1.15, and anything else as a tensor."""
    expected = f"`{argument}` to be a number between 0 and 1, or a scalar tensor"
    if value is None or isinstance(value, (str, list, tuple)):
        checks.fail("DropoutWrapper", expected, checks.describe(value))
    value = tf.convert_to_tensor(value)
    if value.shape.ndims:
        checks.fail("DropoutWrapper", expected, checks.describe(value))
    constant = tf.get_static_value(value)
    if constant is None:
        return value
    if not 0 <= constant <= 1:
        checks.fail("DropoutWrapper", f"`{argument}` between 0 and 1", constant)
    return float(constant)


def _drops(keep_prob: Any) -> bool:
    return tf.is_tensor(keep_prob) or keep_prob < 1


def _select_all(values: Any) -> bool:
    del values
    return True


def _select_all_except_c(state: Any) -> Any:
    if isinstance(state, tuple) and getattr(state, "_fields", None) == LSTMStateTuple._fields:
        return LSTMStateTuple(c=False, h=True)
    return not isinstance(state, tf.TensorArray)
