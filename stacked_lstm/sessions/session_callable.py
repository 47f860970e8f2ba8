"""`make_callable`: a step of a session that does not pass through the Python code of `session.run`."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import CallableOptions, FetchHandler, tf
from stacked_lstm.sessions import fetch_structure

_FUNCTION = "make_callable"
_NOT_IN_GRAPH = (TypeError, ValueError, KeyError)  # What TensorFlow raises for what is not in a graph.


def make_callable(
    session: tf.Session,
    fetches: Any,
    feed_list: Sequence[Any] = (),
    in_calling_thread: bool = False,
    share_results: bool = False,
) -> Callable[..., Any]:
    """Returns a function that does what `session.run(fetches, feed_dict)` does, in less time.

    A `session.run` takes 0.05 to 0.5 ms besides the time of the ops. The ops of a small LSTM take less time than that.
    TensorFlow's `session.make_callable` does not help, because with a `feed_list` it calls `session.run`. This function
    prepares fetches and feeds once. A call then takes about 0.03 ms besides the ops, or 0.01 ms if its ops run in the
    calling thread:

        step = stacked_lstm.make_callable(session, [outputs, state], [inputs, lengths], in_calling_thread=True)
        values, last = step(batch, [20, 3, 0, 11])

    Args:
      session: a `tf.Session` or `tf.InteractiveSession` whose ops run in this process.
      fetches: what `session.run` fetches: a tensor, an operation, a variable or a name, or lists, tuples, dictionaries
        and namedtuples of these.
      feed_list: list of the tensors, or names of tensors, whose values the function takes, in this order. Default: an
        empty list.
      in_calling_thread: bool, whether the ops run one after the other in the thread that calls the function. No other
        thread must then be woken, which takes 0.02 to 0.2 ms. Several threads still share the work of an op. With
        several devices, such as a CPU and a GPU, it has no effect. Default False: the ops run in the session's threads,
        several at a time, as in `session.run`.
      share_results: bool, whether the function returns arrays in TensorFlow's memory instead of copies. On an AMD EPYC
        (Zen 5), a copy of 4 MB takes 0.13 ms. The arrays are read-only. An array that the graph takes from a variable
        or from a fed array without computation may change with it. TensorFlow 1.15 always makes copies. Default False.

    Returns:
      A function with one argument per tensor in `feed_list`: an array, or what `np.asarray` makes into an array of the
      tensor's dtype. TensorFlow copies this array unless it is contiguous and begins at a multiple of 64 bytes. The
      function returns what `session.run` returns: arrays in the structure of `fetches`, and None for operations. The
      arrays are copies unless `share_results`. Several threads may call it at the same time. It raises

      * ValueError if the number of values is wrong, if a value is None or has another shape than its tensor, or if the
        tensor's dtype cannot hold the numbers of the value. `session.run` converts such arrays without an error. Floats
        are rounded;
      * the errors of TensorFlow's ops, such as `tf.errors.InvalidArgumentError`. Their messages do not name the op and
        the lines of the program that made it;
      * `tf.errors.CancelledError` if the session has been closed.

    Raises:
      ValueError: `session` is not a session of this process, `fetches` is empty, an entry of `fetches` or `feed_list`
        is not in the session's graph or cannot be fetched or fed, or a tensor is twice in `feed_list` or is also in
        `fetches`.
      tf.errors.OpError: TensorFlow cannot run the graph, for example because the session has been closed.

    Example: one time step after the other, as in sampling.

      >>> x = tf.placeholder(tf.float32, [1, 1, 2])
      >>> start = tf.placeholder(tf.float32, [2, 1, 3])
      >>> lstm = stacked_lstm.StackedLSTM([3])
      >>> outputs, state = lstm(x, initial_state=[(start[0], start[1])])
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     step = stacked_lstm.make_callable(session, [outputs, state[0]], [x, start])
      ...     last = np.zeros([2, 1, 3])
      ...     for _ in range(3):
      ...         h, last = step([[[1, -1]]], last)
      ...     print(h.shape, np.array_equal(h[:, 0], last.h))
      (1, 1, 3) True
    """
    if not isinstance(session, (tf.Session, tf.InteractiveSession)):
        checks.fail(_FUNCTION, "`session` to be a tf.Session", checks.describe(session))
    in_calling_thread = checks.flag(in_calling_thread, _FUNCTION, "in_calling_thread")
    finish = _read_only if checks.flag(share_results, _FUNCTION, "share_results") else _copy
    server = tf.compat.as_text(session.sess_str)
    if server:
        checks.fail(_FUNCTION, "a `session` of this process", f"one of the server {server}")
    feeds = _feeds(session.graph, feed_list)
    handler = _handler(session.graph, fetches, feeds)
    options = CallableOptions()
    options.run_options.inter_op_thread_pool = -1 if in_calling_thread else 0  # 0 are the session's threads.
    options.feed.extend(feed.name for feed in feeds)
    options.fetch.extend(tensor.name for tensor in handler.fetches())
    options.target.extend(operation.name for operation in handler.targets())
    run = session._make_callable_from_options(options)  # TensorFlow has no public name for it.
    build = fetch_structure.builder(fetches, handler, session)

    def call(*values: Any) -> Any:
        if len(values) != len(feeds):
            checks.fail(_FUNCTION, _expected_values(feeds), f"{len(values)} of them")
        results = run(*[feed.array(value) for feed, value in zip(feeds, values)])
        return build([finish(result) for result in results])

    return call


def _copy(result: Any) -> Any:
    """A result in memory of its own. TensorFlow 2 returns the memory of tensors, such as that of a variable."""
    return result.copy() if isinstance(result, np.ndarray) and not result.flags.owndata else result


def _read_only(result: Any) -> Any:
    """A result in the memory of a tensor, to which a program must not write."""
    if isinstance(result, np.ndarray):
        result.setflags(write=False)
    return result


def _expected_values(feeds: Sequence[_Feed]) -> str:
    names = ", ".join(feed.name for feed in feeds)
    if not feeds:
        return "no values, because `feed_list` is empty"
    return f"one value, for {names}" if len(feeds) == 1 else f"{len(feeds)} values, for {names}"


class _Feed:
    """A tensor whose value a call takes."""

    def __init__(self, tensor: tf.Tensor) -> None:
        self.name = tensor.name
        self._type_name, self._is_text = tensor.dtype.name, tensor.dtype == tf.string
        self._dtype = tensor.dtype.as_numpy_dtype
        self._shape = tensor.shape
        self._rank = tensor.shape.rank  # None if it is unknown, as the size of an axis may be.
        sizes = enumerate([] if self._rank is None else tensor.shape.as_list())
        self._sizes = [(axis, size) for axis, size in sizes if size is not None]

    def array(self, value: Any) -> np.ndarray:
        """Returns the value as an array of the tensor's dtype; raises ValueError if this cannot be."""
        try:
            array = np.asarray(value, self._dtype)
            is_held = array is value and not self._is_text or self._holds(array, value)
        except (TypeError, ValueError, OverflowError, NotImplementedError):
            is_held = False
        if not is_held or not self._has_shape(array.shape):
            shape = "any shape" if self._rank is None else f"shape {self._shape}"
            checks.fail(_FUNCTION, f"a value of dtype {self._type_name} and {shape} for {self.name}", _describe(value))
        return array

    def _holds(self, array: np.ndarray, value: Any) -> bool:
        """Whether an array has the numbers, or the texts, of the value that it was made from. Floats may be rounded."""
        if self._is_text:
            return all(isinstance(item, (str, bytes)) for item in array.flat)
        source = np.asarray(value)
        # NumPy takes the lowest bits of a large integer, and the integer part of a float.
        if array.dtype.kind in "biu":
            return bool(np.all(array == source))
        return value is not None and (array.dtype.kind == "c" or source.dtype.kind != "c")  # It makes NaN of None.

    def _has_shape(self, shape: Sequence[int]) -> bool:
        if self._rank not in (None, len(shape)):
            return False
        for axis, size in self._sizes:  # A generator in `all` would take three times as long.
            if shape[axis] != size:
                return False
        return True


def _feeds(graph: tf.Graph, feed_list: Sequence[Any]) -> list[_Feed]:
    if not isinstance(feed_list, (list, tuple)):
        checks.fail(_FUNCTION, "`feed_list` to be a list of tensors", checks.describe(feed_list))
    tensors = [_tensor(graph, feed) for feed in feed_list]
    names = [tensor.name for tensor in tensors]
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        checks.fail(_FUNCTION, "each tensor once in `feed_list`", f"{twice[0]} twice")
    return [_Feed(tensor) for tensor in tensors]


def _tensor(graph: tf.Graph, feed: Any) -> tf.Tensor:
    """A tensor of a `feed_list`."""
    try:
        tensor = graph.as_graph_element(feed, allow_operation=False)
    except _NOT_IN_GRAPH:
        tensor = None
    if tensor is None or not graph.is_feedable(tensor) or tensor.dtype in (tf.resource, tf.variant):
        expected = "`feed_list` to have tensors of the session's graph that can be fed"
        checks.fail(_FUNCTION, expected, _describe(feed))
    return tensor


def _handler(graph: tf.Graph, fetches: Any, feeds: Sequence[_Feed]) -> Any:
    """The handler of `fetches`: it lists their tensors, and gives the results the structure of `fetches`."""
    problem = checks.describe(fetches)
    try:
        handler = FetchHandler(graph, fetches, {})
    except _NOT_IN_GRAPH as error:
        handler, problem = None, f"{problem} ({error.args[0]})"
    if handler is None or not (handler.fetches() or handler.targets()):
        expected = "`fetches` to have tensors or operations of the session's graph that can be fetched"
        checks.fail(_FUNCTION, expected, problem)
    both = [tensor.name for tensor in handler.fetches() if tensor.name in {feed.name for feed in feeds}]
    if both:
        checks.fail(_FUNCTION, "no tensor that is both in `fetches` and in `feed_list`", both[0])
    return handler


def _describe(value: Any) -> str:
    """A value for a message; a tensor by its name, because a message has names of other tensors, too."""
    return f"the tensor {value.name}" if isinstance(value, tf.Tensor) else checks.describe(value)
