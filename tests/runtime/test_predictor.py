"""`runtime.Predictor` beside float64 NumPy and the `native` engine."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import numpy_lstm, runtime
from stacked_lstm.compat import tf
from stacked_lstm.kernels import ACTIVATIONS
from support.engines.native_ops import NEEDS_NATIVE
from support.engines.runtime import NEEDS_KERNELS
from support.networks.random_networks import LENGTHS, random_layers, random_states
from support.references.numeric import relative_difference

pytestmark = NEEDS_KERNELS

TOLERANCES = {"float32": 1e-5, "float64": 1e-13}
RANDOM = np.random.RandomState(5)


def check_state(state, expected, tolerance):
    for pair, expected_pair in zip(state, expected):
        for array, expected_array in zip(pair, expected_pair):
            assert relative_difference(array, expected_array) < tolerance


@pytest.mark.parametrize("dtype", sorted(TOLERANCES))
@pytest.mark.parametrize("threads", [1, 2, 5, 33])
@pytest.mark.parametrize(
    "steps, batch, input_size, hidden_sizes",
    [(6, 4, 3, [5]), (1, 1, 1, [1]), (9, 2, 17, [33, 16, 8]), (40, 24, 8, [32, 32]), (7, 3, 100, [200])],
)
def test_numbers(steps, batch, input_size, hidden_sizes, threads, dtype):
    layers = random_layers(RANDOM, hidden_sizes, input_size, scale=0.3)
    x = RANDOM.standard_normal([steps, batch, input_size])
    start = random_states(RANDOM, hidden_sizes, batch)
    lengths = RANDOM.randint(0, steps + 1, batch)
    expected, expected_state, _ = numpy_lstm.forward(layers, x, initial_state=start, sequence_length=lengths)
    predictor = runtime.Predictor(layers, dtype=dtype, threads=threads)
    outputs, state = predictor(x, lengths, start, time_major=True)
    assert outputs.dtype == dtype and state[0].c.dtype == dtype
    assert relative_difference(outputs, expected) < TOLERANCES[dtype]
    check_state(state, expected_state, TOLERANCES[dtype])
    batch_major, state = predictor(x.swapaxes(0, 1), lengths, start)
    assert np.array_equal(batch_major.swapaxes(0, 1), outputs)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, use_bias):
    layers = random_layers(RANDOM, [6, 4], 3, use_bias, scale=0.5)
    x = RANDOM.standard_normal([5, 2, 3])
    for arguments in ({"activation": name}, {"recurrent_activation": name}):
        expected, _, _ = numpy_lstm.forward(layers, x, **arguments)
        outputs, _ = runtime.Predictor(layers, dtype="float64", **arguments)(x, time_major=True)
        assert relative_difference(outputs, expected) < 1e-13


def test_initial_states():
    """Learned, projected, and projected where a sequence is empty, so that its first step is not read."""
    layers = random_layers(RANDOM, [5, 4], 3)
    x, lengths = RANDOM.standard_normal([6, 4, 3]), LENGTHS
    x[0, 1] = np.nan
    learned = [{"c": RANDOM.standard_normal([size]), "h": RANDOM.standard_normal([size])} for size in (5, 4)]
    shapes = [(3, 5), (5, 4)]
    projected = [{name: RANDOM.standard_normal(shape) for name in ("W_c", "W_h")} for shape in shapes]
    starts = {
        "learned": [[np.tile(layer[name], (4, 1)) for name in "ch"] for layer in learned],
        "projected": numpy_lstm.projected_forward(projected, np.where(np.array(lengths)[:, None] > 0, x[0], 0))[0],
    }
    for kind, values in (("learned", learned), ("projected", projected)):
        predictor = runtime.Predictor(layers, values, dtype="float64")
        assert kind in repr(predictor)
        outputs, state = predictor(x, lengths, time_major=True)
        expected, expected_state, _ = numpy_lstm.forward(layers, x, sequence_length=lengths, initial_state=starts[kind])
        assert relative_difference(outputs, expected) < 1e-14
        check_state(state, expected_state, 1e-14)


@NEEDS_NATIVE
@pytest.mark.parametrize("initial_state", ["zeros", "learned", "projected"])
def test_same_as_the_native_engine(initial_state, tmp_path):
    """The file between a graph and a predictor; the same kernels make the same bits, except for the projection."""
    x = RANDOM.standard_normal([4, 6, 3]).astype(np.float32)
    lstm = stacked_lstm.StackedLSTM([17, 9], initial_state=initial_state, engine="native")
    fetches = lstm(tf.constant(x), sequence_length=LENGTHS)
    path = str(tmp_path / "model.npz")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        weights = lstm.get_weights(session)
        weights = weights._replace(initial_state=[{n: a + 0.1 for n, a in k.items()} for k in weights.initial_state])
        lstm.set_weights(session, *weights)
        expected, expected_state = session.run(fetches)
    runtime.save(path, *weights)
    outputs, state = runtime.load(path)(x, LENGTHS)
    if initial_state == "projected":
        assert relative_difference(outputs, expected) < 1e-6
        check_state(state, expected_state, 1e-6)
    else:
        assert np.array_equal(outputs, expected)
        check_state(state, expected_state, 1e-30)


def test_infinite_weight():
    """0 times infinity is NaN, also in a first step from h = 0, which has one product for all sequences."""
    layers = random_layers(RANDOM, [9], 3)
    layers[0]["Wi"][0, 4] = np.inf  # In the row for the first number of h.
    x = RANDOM.standard_normal([2, 7, 3])
    with np.errstate(invalid="ignore"):
        expected, _, _ = numpy_lstm.forward(layers, x)
    outputs, _ = runtime.Predictor(layers, dtype="float64")(x, time_major=True)
    np.testing.assert_array_equal(np.isnan(outputs), np.isnan(expected))
    assert np.isnan(outputs[0, :, 4]).all() and not np.isnan(outputs[0, :, :4]).any()


def test_pieces_of_a_stream():
    """T = 1 and T = 0 at a time, bit for bit as all steps at once."""
    predictor = runtime.Predictor(random_layers(RANDOM, [40, 16], 8))
    x = RANDOM.standard_normal([2, 9, 8])
    whole, final = predictor(x)
    state, outputs = None, []
    for begin, end in [(0, 1), (1, 1), (1, 4), (4, 5), (5, 9)]:
        piece, state = predictor(x[:, begin:end], initial_state=state)
        outputs.append(piece)
    assert np.array_equal(np.concatenate(outputs, axis=1), whole)
    check_state(state, final, 1e-30)


def test_many_threads_call_one_predictor():
    predictor = runtime.Predictor(random_layers(RANDOM, [64, 64], 16), threads=3)
    inputs = [RANDOM.standard_normal([1 + k, 20, 16]) for k in range(6)]
    expected = [predictor(x)[0] for x in inputs]
    same = []

    def work(k):
        same.extend(np.array_equal(predictor(inputs[k])[0], expected[k]) for _ in range(30))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 180


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX has fork")
def test_after_a_fork():
    """A child has no threads except the caller's; its results are the same, and it ends."""
    predictor = runtime.Predictor(random_layers(RANDOM, [200, 200], 16), threads=2)
    x = RANDOM.standard_normal([4, 20, 16])
    expected = predictor(x)[0]
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=lambda: results.put([np.array_equal(predictor(x)[0], expected) for _ in range(20)]))
    child.start()
    assert results.get() == [True] * 20
    child.join(30)
    assert child.exitcode == 0


NO_MORE_THREADS = """
import resource
import numpy as np
from stacked_lstm import runtime
layer = {name: np.ones([5, 3]) for name in ("Wf", "Wi", "Wc", "Wo")}
runtime.Predictor([layer], threads=1)
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**27, size + 2**27))
try:
    runtime.Predictor([layer], threads=500)
except MemoryError as error:
    print(error)
"""

CALLS_AT_THE_END = """
import threading, time
import numpy as np
from stacked_lstm import runtime
predictor = runtime.Predictor([{name: np.ones([600, 512]) for name in ("Wf", "Wi", "Wc", "Wo")}])
x = np.ones([16, 200, 88])
def work():
    while True:
        predictor(x)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
print("ended")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells the size of a process so")
@pytest.mark.parametrize(
    "program, expected",
    [(NO_MORE_THREADS, "runtime.Predictor: there is not enough memory for"), (CALLS_AT_THE_END, "ended")],
)
def test_processes_at_their_limits(program, expected):
    """Threads that the system refuses are a MemoryError, and a process may end while other threads compute."""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert done.returncode == 0 and done.stdout.decode().startswith(expected)


def test_empty_inputs():
    predictor = runtime.Predictor(random_layers(RANDOM, [3], 2))
    for shape in ([0, 4, 2], [3, 0, 2], [0, 0, 2]):
        outputs, state = predictor(np.ones(shape))
        assert outputs.shape == tuple(shape[:2]) + (3,)
        assert state[0].c.shape == (shape[0], 3) and not np.any(state[0].c)


LAYERS = random_layers(np.random.RandomState(1), [3, 4], 2)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"layers": []}, r"`layers` to be a list with one mapping per layer, from names to arrays, got \[\]"),
        ({"layers": LAYERS[0]}, "`layers` to be a list with one mapping per layer, .* got a mapping with the keys Wf,"),
        ({"layers": [{"Wf": np.ones([3, 3])}]}, r"`layers\[0\]` with the arrays Wf, Wi, Wc, Wo, got Wf"),
        ({"layers": LAYERS[::-1]}, r"`layers\[1\]\['Wf'\]` of shape \[H \+ 4, H\], got shape \[5, 3\]"),
        ({"layers": [dict(LAYERS[0], bo=np.ones([4]))]}, r"`layers\[0\]\['bo'\]` of shape \[3\], got shape \[4\]"),
        (
            {"layers": [dict(LAYERS[0], bo="text")]},
            r"`layers\[0\]\['bo'\]` to be an array of real numbers, got one of dtype .U4",
        ),
        (
            {"layers": [dict(LAYERS[0], bo=[{}] * 3)]},
            r"`layers\[0\]\['bo'\]` to be an array of real numbers, got TypeError",
        ),
        (
            {"layers": [dict(LAYERS[0], bo=np.ones([3]) * 1j)]},
            "to be an array of real numbers, got one of dtype complex128",
        ),
        (
            {"layers": LAYERS[:1], "initial_state": [{"c": np.array(["a", "b", "c"]), "h": np.ones([3])}]},
            r"`initial_state\[0\]\['c'\]` to be an array of real numbers, got one of dtype .U1",
        ),
        ({"layers": [dict(LAYERS[0], Wp=np.ones([4]))]}, "Wf, Wi, Wc, Wo, bf, bi, bc, bo, got .*Wp"),
        ({"initial_state": [{"c": np.ones([3])}]}, "`initial_state` to be empty, or 2 mappings"),
        ({"initial_state": [{"c": np.ones([3]), "h": np.ones([3])}] * 2}, r"\[1\]\['c'\]` of shape \[4\], got"),
        ({"activation": "elu"}, "`activation` to be one of hard_sigmoid, .*, got 'elu'"),
        ({"dtype": "float16"}, "`dtype` to be one of float32, float64, got 'float16'"),
        ({"threads": 0}, "`threads` to be an integer from 1 to 1024, got 0"),
        ({"threads": 2**32}, "`threads` to be an integer from 1 to 1024, got 4294967296"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"^runtime.Predictor: expected .*{message}"):
        runtime.Predictor(**{"layers": LAYERS, **arguments})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"inputs": np.ones([2, 5, 3])}, r"`inputs` of shape \[batch, time, 2\], got an array of shape \[2, 5, 3\]"),
        ({"inputs": np.ones([5, 2]), "time_major": True}, r"`inputs` of shape \[time, batch, 2\]"),
        ({"inputs": np.full([2, 5, 2], "a")}, "`inputs` to be real numbers, got an array of dtype"),
        ({"sequence_length": [5, 6]}, "`sequence_length` with 2 integers from 0 to 5, one per sequence, got 6"),
        ({"sequence_length": [5.0, 1.0]}, "got an array of shape .2. and dtype float64"),
        ({"sequence_length": [5]}, r"got an array of shape \[1\]"),
        (
            {"initial_state": [(np.ones([2, 3]), np.ones([2, 3]))]},
            "a list of 2 pairs .c, h., one per layer, got a list of length 1",
        ),
        (
            {"initial_state": np.ones([2, 2, 2, 3])},
            "pairs .c, h., one per layer, got an array of dtype float64",
        ),
        (
            {"initial_state": [(np.ones([2, 3]),) * 2] * 2},
            r"`initial_state\[1\].c` of shape \[2, 4\], got shape \[2, 3\]",
        ),
        (
            {"initial_state": [(np.ones([2, 3]) * 1j, np.ones([2, 3])), (np.ones([2, 4]),) * 2]},
            r"`initial_state\[0\].c` to be an array of real numbers, got one of dtype complex128",
        ),
        ({"time_major": 1}, "`time_major` to be True or False, got 1"),
    ],
)
def test_bad_calls(arguments, message):
    predictor = runtime.Predictor(LAYERS)
    with pytest.raises(ValueError, match=message):
        predictor(**{"inputs": np.ones([2, 5, 2]), **arguments})


def test_numbers_of_numpy():
    """An integer of NumPy is an integer, and an empty list has no numbers of a wrong dtype."""
    predictor = runtime.Predictor(LAYERS, threads=np.int64(2))
    assert predictor.threads == 2
    outputs, _ = predictor(np.ones([0, 5, 2]), sequence_length=[])
    assert outputs.shape == (0, 5, 4)
