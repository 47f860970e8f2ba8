"""make_callable: the results of `session.run`, for all kinds of fed values; its errors."""

import threading

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, make_callable
from stacked_lstm.compat import tf
from support.references.structures import assert_equal
from support.suite.sets import ONCE
from support.suite.versions import OLD

VALUES = {
    "float64 for float32": (tf.float32, [None, 2], np.eye(2) / 3),
    "a list": (tf.float32, [2, None], [[0.1, 2], [3, 4]]),
    "an int": (tf.float64, [], 3),
    "a bool": (tf.bool, [], True),
    "integers": (tf.int32, None, np.arange(6).reshape(1, 2, 3)),
    "uint8": (tf.uint8, [None], [0, 255]),
    "float16": (tf.float16, [3], [0.1, 1e-7, 7e4]),
    "bfloat16": (tf.bfloat16, [3], [0.1, 3.0, 1e30]),
    "complex": (tf.complex64, [1], [1j]),
    "strings": (tf.string, [2], ["a", b"\xff"]),
    "an empty array": (tf.float32, [None, 3], np.zeros([0, 3])),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_are_converted(kind, plain_session):
    """`session.run` of the same value has the same result."""
    dtype, shape, value = VALUES[kind]
    placeholder = tf.placeholder(dtype, shape)
    same = tf.identity(placeholder)
    with np.errstate(over="ignore"):
        assert_equal(
            make_callable(plain_session, same, [placeholder.name])(value), plain_session.run(same, {placeholder: value})
        )


def test_steps_of_an_lstm(plain_session):
    """Sequential calls with a state that comes back, and training steps in between, as with `session.run`."""
    x, lengths = tf.placeholder(tf.float32, [None, None, 2]), tf.placeholder(tf.int32, [None])
    c, h = [tf.placeholder(tf.float32, [None, 3]) for _ in range(2)]
    outputs, state = StackedLSTM([3], engine="graph")(x, sequence_length=lengths, initial_state=[(c, h)])
    train = tf.train.GradientDescentOptimizer(1.0).minimize(tf.reduce_sum(tf.square(outputs)))
    fetches, feeds = [outputs, state], [x, lengths, c, h]
    initializer = tf.group(tf.global_variables_initializer())
    values = np.random.RandomState(0).standard_normal([2, 4, 2])

    def steps(run, training_step):
        history = [run(values, [4, 2], np.zeros([2, 3]), np.zeros([2, 3]))]
        for _ in range(3):
            pair = history[-1][1][0]
            assert training_step(values, [4, 3], pair.c, pair.h) is None
            history.append(run(values, [1, 4], pair.c, pair.h))
        return history

    def slow(fetches):
        return lambda *arrays: plain_session.run(fetches, dict(zip(feeds, arrays)))

    plain_session.run(initializer)
    weights = plain_session.run(tf.trainable_variables())
    expected = steps(slow(fetches), slow(train))
    for variable, array in zip(tf.trainable_variables(), weights):
        variable.load(array, plain_session)
    actual = steps(make_callable(plain_session, fetches, feeds), make_callable(plain_session, train, feeds))
    assert not np.array_equal(expected[0][0], expected[-1][0])
    assert_equal(actual, expected)


def aligned(values):
    """A copy of an array that begins at a multiple of 64 bytes. TensorFlow takes its memory for the tensor."""
    memory = np.empty(values.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    array[...] = values
    return array


@pytest.mark.parametrize("offset", [0, 1])
def test_fed_arrays_can_be_reused(offset, plain_session):
    """Results and variables keep their values when a fed array changes, aligned or not."""
    x = tf.placeholder(tf.float32, [10])
    variable = tf.get_variable("v", [10])
    fetches = [tf.identity(x), tf.reshape(x, [2, 5]), tf.assign(variable, x)]
    call = make_callable(plain_session, fetches, [x])
    array = aligned(np.zeros(10 + offset, np.float32))[offset:]
    array[:] = np.arange(10)
    first = call(array)
    array[:] = -1
    for result in first + [plain_session.run(variable)]:
        np.testing.assert_array_equal(np.ravel(result), np.arange(10))
    read_only = aligned(np.arange(10, dtype=np.float32))
    read_only.flags.writeable = False
    call(read_only)[0][:] = 7
    np.testing.assert_array_equal(read_only, np.arange(10))


@pytest.mark.parametrize("use_resource", [False, True])
def test_results_have_their_own_memory(use_resource, plain_session):
    """Later calls do not change results, and writing to results changes no variable, constant or other result."""
    n = tf.get_variable("n", [16], initializer=tf.zeros_initializer(), use_resource=use_resource)
    constant = tf.zeros([2, 3])
    plain_session.run(n.initializer)
    added = tf.assign_add(n, tf.ones([16]))
    step = make_callable(plain_session, added)
    results = [step() for _ in range(3)]
    assert [result[0] for result in results] == [1, 2, 3]
    with tf.control_dependencies([added]):
        y = n.read_value() * 2
    call = make_callable(plain_session, {"n": n, "constant": constant, "y": y, "parts": tf.reshape(y, [4, 4])})
    one = call()
    for array in (one["n"], one["constant"], one["y"]):
        array[...] = -100
    assert plain_session.run(n)[0] == 4 and one["parts"][0, 0] == 8
    two = call()
    assert two["y"][0] == 10 and not np.any(two["constant"])


def test_shared_results_are_read_only(plain_session):
    """Numbers and structures are those of `session.run`. Writing raises an error, so that a constant stays as it is."""
    x = tf.placeholder(tf.float32, [None, 2])
    constant = tf.constant(np.arange(6, dtype=np.float32), name="constant")
    variable = tf.get_variable("n", [16], initializer=tf.ones_initializer(), use_resource=True)
    plain_session.run(variable.initializer)
    others = [constant, variable, tf.identity(x).op, tf.constant("text")]
    fetches = {"twice": x * 2, "number": x[0, 0], "others": others}
    call = make_callable(plain_session, fetches, [x], share_results=True)
    first = call(np.full([3, 2], 3.0))
    assert_equal(first, plain_session.run(fetches, {x: np.full([3, 2], 3.0)}))
    for array in (first["twice"], first["others"][0], first["others"][1]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 7
    call(np.zeros([3, 2]))
    np.testing.assert_array_equal(first["twice"], np.full([3, 2], 6))


def test_memory_of_results(plain_session):
    """Only shared results are in TensorFlow's memory."""
    x = tf.placeholder(tf.float32, [100])
    y = x + 1
    shared, own = (make_callable(plain_session, y, [x], share_results=share)(np.ones(100)) for share in (True, False))
    assert own.flags.owndata and own.flags.writeable
    assert shared.flags.owndata == OLD  # TensorFlow 1.15 copies all results.


def test_several_threads(plain_session):
    x = tf.placeholder(tf.float32, [2])
    call = make_callable(plain_session, {"twice": x * 2}, [x])
    results = {}

    def work(k):
        results[k] = [call(np.full(2, k + n / 100))["twice"] for n in range(50)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        expected = 2 * np.float32(k + np.arange(50) / 100)
        np.testing.assert_array_equal(np.array(results[k])[:, 0], expected)


def test_in_calling_thread(plain_session):
    """With it, every op runs in the thread of the call, also if another thread makes the call."""
    x = tf.placeholder(tf.float32, [])
    thread = tf.py_func(lambda value: np.int64(threading.get_ident() % 2**62), [x], tf.int64)
    session_threads = make_callable(plain_session, thread, [x])
    calling_thread = make_callable(plain_session, [thread, x * 2], [x], in_calling_thread=True)
    results = []
    for _ in range(2):
        worker = threading.Thread(target=lambda: results.append((threading.get_ident() % 2**62, calling_thread(3))))
        worker.start()
        worker.join()
    for own, (number, product) in [*results, (threading.get_ident() % 2**62, calling_thread(3))]:
        assert (number, product) == (own, 6)
    assert session_threads(3) != threading.get_ident() % 2**62


def test_no_ops_are_added(plain_session):
    """A finished graph can have callables, also for ops that came after the first run."""
    x = tf.placeholder(tf.float32, [])
    plain_session.run(x * 1, {x: 1})
    later, variable = x * 3, tf.get_variable("v", [])
    plain_session.graph.finalize()
    call = make_callable(plain_session, [later, variable.op], [x])
    assert call(2)[0] == 6


def test_session_that_is_closed():
    with tf.Session() as session:
        call = make_callable(session, tf.constant(1.0))
        assert call() == 1
    with pytest.raises(tf.errors.CancelledError, match="closed"):
        call()


def test_errors_of_ops_pass_through(plain_session):
    x = tf.placeholder(tf.int32, [None])
    call = make_callable(plain_session, tf.gather([1, 2], x), [x])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = 5 is not in \[0, 2\)"):
        call([1, 5])
    np.testing.assert_array_equal(call([1, 0]), [2, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must feed a value"):
        make_callable(plain_session, x + 1)()


def words(call, *arguments):
    with pytest.raises(ValueError) as caught:
        call(*arguments)
    return str(caught.value)


WRONG_VALUES = {
    "shape": (np.zeros([2, 3]), "an array of dtype float64 and shape (2, 3)"),
    "rank": ([0.0, 1.0], "[0.0, 1.0]"),
    "text": ("abc", "'abc'"),
    "None": (None, "None"),
    "ragged": ([[1.0, 2.0], [3.0]], "[[1.0, 2.0], [3.0]]"),
}


@pytest.mark.parametrize("kind", WRONG_VALUES)
@pytest.mark.filterwarnings("ignore:Creating an ndarray from ragged")
def test_wrong_values(kind, plain_session):
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    value, words_of_value = WRONG_VALUES[kind]
    expected = "make_callable: expected a value of dtype float32 and shape (?, 2) for x:0, got "
    actual = words(make_callable(plain_session, x + 1, [x]), value)
    assert actual.replace("(None, 2)", "(?, 2)") == expected + words_of_value


def test_values_that_a_dtype_cannot_hold(plain_session):
    n, x = tf.placeholder(tf.int8, [], name="n"), tf.placeholder(tf.float32, [], name="x")
    call = make_callable(plain_session, n + 1, [n])
    assert words(call, 300) == "make_callable: expected a value of dtype int8 and shape () for n:0, got 300"
    call = make_callable(plain_session, x + 1, [x])
    assert words(call, None) == "make_callable: expected a value of dtype float32 and shape () for x:0, got None"
    got = words(call, tf.constant(1.0, name="one"))
    assert got == "make_callable: expected a value of dtype float32 and shape () for x:0, got the tensor one:0"
    text = tf.placeholder(tf.string, [], name="text")
    call = make_callable(plain_session, tf.identity(text), [text])
    assert words(call, 3) == "make_callable: expected a value of dtype string and shape () for text:0, got 3"


@pytest.mark.parametrize(
    "dtype, held, lost",
    [
        (
            tf.int32,
            [3, [3], [3.0], np.array([3]), np.float32([3]), [True]],
            [2**40, [2**40], np.array([2**32 + 3]), [2.7], "3", ["3"]],
        ),
        (tf.int32, [[-1], np.array([-1])], [np.array([np.nan]), np.array([1 + 2j]), [None]]),
        (tf.bool, [True, [0, 1], np.array([1.0])], [[2], 0.5]),
        (tf.float32, [2**40, [2**40], 0.1, np.array([1e-50]), [True]], [np.array([1 + 2j]), [1j], None]),
        (tf.complex64, [1 + 2j, [1], 0.5], [None]),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:Casting complex")
def test_numbers_that_conversion_would_change(dtype, held, lost, plain_session):
    """NumPy would cut them without a word. Only floats are rounded."""
    x = tf.placeholder(dtype, None, name="x")
    call = make_callable(plain_session, tf.identity(x), [x])
    for value in held:
        np.testing.assert_array_equal(call(value), np.asarray(value).astype(dtype.as_numpy_dtype))
    for value in lost:
        assert f"expected a value of dtype {dtype.name} and any shape for x:0, got " in words(call, value)


def test_lengths_are_not_cut(plain_session):
    """Otherwise, a length of 2**32 + 3 would be 3."""
    lengths = tf.placeholder(tf.int32, [None])
    outputs, _ = StackedLSTM([3], engine="graph")(tf.ones([1, 5, 2]), sequence_length=lengths)
    plain_session.run(tf.global_variables_initializer())
    call = make_callable(plain_session, outputs, [lengths])
    assert call(np.array([3])).shape == (1, 5, 3)
    assert "a value of dtype int32" in words(call, np.array([2**32 + 3]))


def test_wrong_number_of_values(plain_session):
    x = tf.placeholder(tf.float32, [], name="x")
    call = make_callable(plain_session, x + 1, [x])
    assert words(call) == "make_callable: expected one value, for x:0, got 0 of them"
    assert words(call, 1, 2) == "make_callable: expected one value, for x:0, got 2 of them"
    none = make_callable(plain_session, tf.constant(1))
    assert words(none, 1) == "make_callable: expected no values, because `feed_list` is empty, got 1 of them"
    z = tf.placeholder(tf.float32, name="z")
    both = make_callable(plain_session, x + z, [x, z])
    assert words(both, 1) == "make_callable: expected 2 values, for x:0, z:0, got 1 of them"
    assert words(both, 1, "a") == "make_callable: expected a value of dtype float32 and any shape for z:0, got 'a'"


def test_wrong_arguments(plain_session):
    x = tf.placeholder(tf.float32, [], name="x")
    y = x + 1
    with tf.Graph().as_default():
        other = tf.constant(1.0, name="other")
    feeds = "expected `feed_list` to have tensors of the session's graph that can be fed, got "
    fetched = "expected `fetches` to have tensors or operations of the session's graph that can be fetched, got "
    handle = tf.placeholder(tf.resource, [], name="handle")
    cases = [
        ((None, y, [x]), "expected `session` to be a tf.Session, got None"),
        ((plain_session, y, x), "expected `feed_list` to be a list of tensors, got "),
        ((plain_session, y, [3]), feeds + "3"),
        ((plain_session, y, [other]), feeds + "the tensor other:0"),
        ((plain_session, y, ["z:0"]), feeds + "'z:0'"),
        ((plain_session, y, [handle]), feeds + "the tensor handle:0"),
        ((plain_session, y, [x, "x:0"]), "expected each tensor once in `feed_list`, got x:0 twice"),
        ((plain_session, [y, x], [x]), "expected no tensor that is both in `fetches` and in `feed_list`, got x:0"),
        ((plain_session, [y, None], [x]), fetched),
        ((plain_session, [other], [x]), fetched),
        ((plain_session, [], [x]), fetched + "[]"),
        ((plain_session, 3, [x]), fetched + "3 ("),
        ((plain_session, y, [x], 1), "expected `in_calling_thread` to be True or False, got 1"),
        ((plain_session, y, [x], False, 1), "expected `share_results` to be True or False, got 1"),
    ]
    for arguments, expected in cases:
        assert words(make_callable, *arguments).startswith(f"make_callable: {expected}"), expected
    plain_session.graph.prevent_feeding(y)
    assert words(make_callable, plain_session, x, [y]) == f"make_callable: {feeds}the tensor {y.name}"


@ONCE
def test_session_of_a_server():
    server = tf.train.Server.create_local_server()
    with tf.Session(server.target) as session:
        expected = f"make_callable: expected a `session` of this process, got one of the server {server.target}"
        assert words(make_callable, session, tf.constant(1.0)) == expected
