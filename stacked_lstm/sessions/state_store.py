"""`StateStore`: the state of a stack between runs of a session, for truncated backpropagation and streaming."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import checks, graph_checks, tensor_checks
from stacked_lstm.bidirectional.bidirectional_lstm import BidirectionalLSTM
from stacked_lstm.compat import tf
from stacked_lstm.stack.stacked_lstm import StackedLSTM
from stacked_lstm.state import LSTMState

_CLASS = "StateStore"


class StateStore:
    """c and h of each layer of a stack in local variables, which keep their values between runs of a session.

        store = StateStore(lstm, batch_size)
        outputs, state = lstm(piece, initial_state=store.state)
        update = store.update(state)                           # run it with the outputs

    Each run continues where the last one ended. A long sequence, cut into pieces, then has the same results as in one
    call. On the engine `native`, they are the same bits. On `graph`, they may differ by rounding. Gradients stop at the
    start of a piece, which is truncated backpropagation through time. The variables are in the collection
    LOCAL_VARIABLES, so optimizers and `tf.train.Saver` do not see them, and `tf.local_variables_initializer` makes them
    zero.

    Attributes:
      state: list of `LSTMState(c, h)` per layer, c [B, H_l] and h [B, P_l]: the values of the variables.
      variables: list of all variables, c and h of the first layer first.

    Example:
      >>> piece = tf.placeholder(tf.float32, [2, None, 1])
      >>> lstm = stacked_lstm.StackedLSTM([4])
      >>> store = stacked_lstm.StateStore(lstm, batch_size=2)
      >>> outputs, state = lstm(piece, initial_state=store.state)
      >>> update = store.update(state)
      >>> whole = np.ones([2, 6, 1])
      >>> with tf.Session() as session:
      ...     session.run(tf.group(tf.global_variables_initializer(), tf.local_variables_initializer()))
      ...     first, _ = session.run([outputs, update], {piece: whole[:, :4]})
      ...     second, _ = session.run([outputs, update], {piece: whole[:, 4:]})
      ...     session.run(store.reset())
      ...     expected = session.run(outputs, {piece: whole})
      ...     print(np.allclose(np.concatenate([first, second], axis=1), expected))
      True
    """

    def __init__(self, lstm: StackedLSTM, batch_size: int, name: str = "state_store") -> None:
        """Creates the variables.

        Args:
          lstm: the `StackedLSTM`. It need not be built. A `BidirectionalLSTM` cannot continue a sequence in a later
            run, because its backward direction starts at the end of the sequence.
          batch_size: int, B, the number of sequences.
          name: str, the scope of the variables `layer_l/c` and `layer_l/h`, within the scope of the stack's name.
            Default "state_store".

        Raises:
          ValueError: `lstm` is no `StackedLSTM`, `batch_size` is no positive integer, or the graph already has a
            variable of such a name.
          RuntimeError: eager mode is on.
        """
        graph_checks.graph_mode(_CLASS)
        if isinstance(lstm, BidirectionalLSTM):
            expected = "`lstm` to read forward only, so that a later run can continue its sequences"
            actual = "a BidirectionalLSTM, whose backward direction starts at the end of a sequence"
            checks.fail(_CLASS, expected, actual)
        if not isinstance(lstm, StackedLSTM):
            checks.fail(_CLASS, "`lstm` to be a StackedLSTM", checks.describe(lstm))
        batch_size = checks.size(batch_size, _CLASS, "batch_size")
        checks.scope(name, _CLASS)
        self._lstm, self._name = lstm, f"{lstm.name}/{name}"
        self._pairs: list[LSTMState] = []
        with tf.variable_scope(self._name, auxiliary_name_scope=False) as scope:
            scope.set_partitioner(None)
            scope.set_regularizer(None)  # A state is no weight.
            for k, size in enumerate(lstm.state_sizes):
                self._pairs.append(
                    LSTMState(*[self._variable(k, field, [batch_size, w]) for field, w in zip(size._fields, size)])
                )

    def _variable(self, layer: int, field: str, shape: list[int]) -> tf.Variable:
        try:
            return tf.get_variable(
                f"layer_{layer + 1}/{field}",
                shape,
                self._lstm.dtype,
                tf.zeros_initializer(),
                trainable=False,
                use_resource=True,  # If a run reads and updates the state, it reads the old state.
                collections=[tf.GraphKeys.LOCAL_VARIABLES],
            )
        except ValueError as error:
            if "already exists" not in str(error):
                raise
        return checks.fail(
            _CLASS, "a `name` that no other store of this stack has", repr(self._name[len(self._lstm.name) + 1 :])
        )

    @property
    def state(self) -> list[LSTMState]:
        """List of `LSTMState(c, h)` per layer, tensors with the values of the variables."""
        return [LSTMState(*[tf.convert_to_tensor(variable) for variable in pair]) for pair in self._pairs]

    @property
    def variables(self) -> list[tf.Variable]:
        """List of the variables, c and h of the first layer first."""
        return [variable for pair in self._pairs for variable in pair]

    def update(self, state: Sequence[Any]) -> tf.Operation:
        """Returns the op that stores a state.

        Args:
          state: a pair (c, h) per layer, such as the final state of the stack.

        Raises:
          ValueError: the structure, a shape or a dtype is not that of the variables.
        """
        graph_checks.same_graph(self.variables, f"{_CLASS}.update", state)
        batch = self._pairs[0].c.shape.as_list()[0]
        widths = [tuple(size) for size in self._lstm.state_sizes]
        size = tensor_checks.Size(batch, tf.constant(batch))
        pairs = tensor_checks.states(state, widths, size, self._lstm.dtype, f"{_CLASS}.update", "state")
        return self._assign([LSTMState(*pair) for pair in pairs])

    def reset(self, rows: Any = None) -> tf.Operation:
        """Returns the op that stores the initial state again: zeros, or the learned vectors.

        Args:
          rows: bool vector [B], the sequences that start again. Default None: all of them.

        Raises:
          ValueError: `rows` has another shape or dtype, the initial state is projected from inputs, or it is learned
            and the stack is not built yet.
        """
        graph_checks.same_graph(self.variables, f"{_CLASS}.reset")
        batch = self._pairs[0].c.shape.as_list()[0]
        start = self._lstm.initial_states(batch)
        if rows is not None:
            rows = tensor_checks.tensor(rows, tf.bool, f"{_CLASS}.reset", "rows")
            if not rows.shape.is_compatible_with([batch]):
                expected = f"`rows` to be a vector with one bool per sequence ({batch})"
                checks.fail(f"{_CLASS}.reset", expected, checks.describe(rows))
            if not rows.shape.is_fully_defined():
                rows = tensor_checks.with_shape(rows, [batch], f"{_CLASS}.reset", "`rows`")
            start = [
                LSTMState(*[tf.where(rows, new, old) for new, old in zip(*pairs)]) for pairs in zip(start, self.state)
            ]
        return self._assign(start)

    def _assign(self, states: Sequence[LSTMState]) -> tf.Operation:
        values = [value for pair in states for value in pair]
        return tf.group(*[variable.assign(value) for variable, value in zip(self.variables, values)])
