"""Tests that need a GPU, in sessions without soft placement. On a machine without a GPU they are skipped.

`python -m pytest -m gpu` runs these, and the tests of other modules that have a mark of support/suite/places.py.
"""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, parity
from stacked_lstm.compat import tf
from stacked_lstm.engines import cudnn
from stacked_lstm.engines.cudnn import compiled_op, library
from support.references import numeric
from support.references.derivatives import STACKS, Problem
from support.references.peers import compared, differences
from support.suite.places import GPU
from support.suite.sessions import prepare
from support.training import tiny_runs

DEVICE = "/GPU:0"

pytestmark = GPU


@pytest.fixture(scope="module", params=["graph", "cudnn"])
def engine(request):
    return request.param


@pytest.fixture(scope="module", autouse=True)
def place():
    return prepare("gpu")


@pytest.mark.parametrize("hidden_size, width", [(5, 3), (128, 64)])
def test_buffer_of_both_directions_is_as_large_as_cudnns(hidden_size, width, session):
    lstm = BidirectionalLSTM([hidden_size], engine="cudnn")
    lstm.build(width)
    sizes = {"num_layers": 1, "num_units": hidden_size, "input_size": width, "T": tf.float32, "S": tf.int32}
    size = tf.raw_ops.CudnnRNNParamsSize(**sizes, rnn_mode="lstm", direction="bidirectional")
    layers = [layer.layer() for side in lstm.layers for layer in side]
    assert session.run(size) == cudnn.pack(layers).shape.as_list()


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.float64])
@pytest.mark.parametrize("hidden_size, input_size, layers", [(5, 3, 1), (64, 8, 3), (7, 650, 2), (650, 650, 2)])
def test_buffer_is_as_large_as_cudnns(hidden_size, input_size, layers, dtype, session):
    """Odd widths, too, where cuDNN could add padding. TensorFlow does not compare sizes.

    Tests of parity show that each number is in its place. TensorFlow's op CudnnRNNCanonicalToParams could show it, too,
    but it ends the process with cuDNN 9.
    """
    lstm = StackedLSTM([hidden_size] * layers, engine="cudnn", dtype=dtype)
    lstm.build(input_size)
    size = tf.raw_ops.CudnnRNNParamsSize(
        num_layers=layers, num_units=hidden_size, input_size=input_size, T=dtype, S=tf.int32, rnn_mode="lstm"
    )
    assert session.run(size) == cudnn.pack([layer.layer() for layer in lstm.layers]).shape.as_list()


# More numbers than the other modules test.


@pytest.mark.parametrize("steps, batch, width, hidden_size", [(35, 20, 650, 650), (50, 32, 128, 512)])
def test_large(steps, batch, width, hidden_size, engine, session):
    setup = parity.Setup([hidden_size] * 2, width, engine=engine)
    peers = {"dynamic_rnn": parity.PEERS["dynamic_rnn"]}
    assert parity.exceeded(differences(setup, session, batch, steps, peers)) == []


@pytest.mark.parametrize("stack", ["before the loop", "shared loop"])
def test_second_derivatives(stack, control_flow, engine, session):
    options = {"second": True, "initial_state": "projected", "engine": engine}
    Problem(session, *STACKS[stack], lengths=[5, 0, 3], **options).check_second_derivatives()


def test_float16(engine, session):
    """Outputs and gradients, against the graph engine in float32 with the same weights."""
    x, results, stacks = np.random.RandomState(0).standard_normal([7, 5, 16]), [], []
    for name, dtype in ((engine, tf.float16), ("graph", tf.float32)):
        lstm = StackedLSTM([32, 32], engine=name, dtype=dtype, name=dtype.name)
        outputs, _ = lstm(tf.constant(x, dtype), [7, 7, 3, 0, 1], time_major=True)
        results.append([outputs] + tf.gradients(tf.reduce_sum(tf.sin(outputs)), lstm.variables))
        stacks.append(lstm)
    session.run(tf.global_variables_initializer())
    stacks[1].set_weights(session, stacks[0].get_weights(session).layers)
    for half, single in zip(*session.run(results)):
        assert half.dtype == np.float16 and numeric.relative_difference(half.astype(np.float64), single) < 1e-2


# Devices of ops.


def devices_by_type(session, fetches, feed):
    """Type of op -> set of the devices on which ops of that type ran, from the metadata of one run."""
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE)
    session.run(fetches, feed, options=options, run_metadata=metadata)
    types, found = {op.name: op.type for op in session.graph.get_operations()}, {}
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            found.setdefault(types.get(node.node_name), set()).add(device.device.split("/device:")[-1])
    return found


def test_run_metadata(engine, session):
    setup = parity.Setup([8, 8], 4, lengths=True, engine=engine)
    comparison = compared(setup, session)
    batch = parity.random_batch(setup, 5, 7, seed=3)
    network = comparison.networks[parity.STACKED_LSTM]
    assert network.source.startswith(f"engine {engine} (asked for by name)")
    devices = devices_by_type(session, network.train_step, network.feed(batch))
    for kind in {"graph": ["MatMul"], "cudnn": ["CudnnRNNV3", "CudnnRNNBackpropV3"]}[engine]:
        assert devices[kind] == {DEVICE[1:]}
    assert any(
        device.endswith(DEVICE[1:]) for device in parity.devices_used(session, network.outputs, network.feed(batch))
    )


def test_auto_takes_cudnn(session):
    lstm = StackedLSTM([3])
    outputs, _ = lstm(tf.zeros([1, 2, 1]))
    assert lstm.engine_used == ("cudnn", "the first engine that supports these layers")
    session.run(tf.global_variables_initializer())
    assert np.all(np.isfinite(session.run(outputs)))


# Scripts.


def forecasts(tmp_path):
    run = {"hidden_sizes": "8,8", "epochs": "1", "train_examples": "64"}
    return dict(run, task="forecast", train_dir=str(tmp_path / "run"))


TASKS = {
    "fashion_mnist": tiny_runs.arguments_in,
    "titles": tiny_runs.title_arguments_in,
    "forecast": forecasts,
}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_training(task, engine, tmp_path, capsys):
    """A few steps of each task, on the devices that TensorFlow chooses."""
    final = tiny_runs.run(TASKS[task](tmp_path), engine=engine)
    assert f"engine {engine} (asked for by name)" in capsys.readouterr().out
    assert all(np.isfinite(value) for value in final.values() if isinstance(value, float))


# The compiled op.


@pytest.mark.parametrize("hidden_size", [64, 200, 650])
@pytest.mark.parametrize("algorithm", compiled_op.ALGORITHMS)
def test_algorithms(algorithm, hidden_size, monkeypatch, session):
    """Outputs, states and gradients against the graph engine, with each algorithm; float32 and float16."""
    if algorithm == "persistent_few_units" and hidden_size > 128:
        pytest.skip("cuDNN's algorithm for few units takes up to 128")
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, algorithm)
    x, results = np.random.RandomState(0).standard_normal([20, 12, 16]), []
    for name, dtype in (("cudnn", tf.float32), ("cudnn", tf.float16), ("graph", tf.float32)):
        lstm = StackedLSTM(
            [hidden_size] * 2, engine=name, dtype=dtype, initial_state="projected", name=name + dtype.name
        )
        outputs, (_, state) = lstm(tf.constant(x, dtype), time_major=True)
        loss = tf.reduce_sum(tf.sin(outputs)) / 20 + tf.reduce_sum(state.c**2)  # In float16, means vanish.
        results.append((lstm, [outputs, *state] + tf.gradients(loss, lstm.variables)))
    kinds = {op.type for op in session.graph.get_operations()}
    assert ("StackedLstmCudnn" in kinds) == (algorithm != compiled_op.TENSORFLOW)
    session.run(tf.global_variables_initializer())
    for lstm, _ in results[1:]:
        for variable, source in zip(lstm.variables, results[0][0].variables):
            session.run(variable.assign(tf.cast(source, variable.dtype.base_dtype)))
    single, half, expected = session.run([values for _, values in results])
    assert max(map(numeric.relative_difference, single, expected)) < parity.TOLERANCES["float32"]
    assert max(map(numeric.relative_difference, [part.astype(np.float64) for part in half], expected)) < 2e-2


def test_fastest_algorithm(monkeypatch, session):
    """Few units: each algorithm ran once, and the one for few units is the fastest."""
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, compiled_op.FASTEST)
    lstm = StackedLSTM([32, 32], engine="cudnn")
    outputs, _ = lstm(tf.zeros([50, 31, 32]), time_major=True)
    session.run(tf.global_variables_initializer())
    session.run(outputs)
    (line,) = [line for line in library.choices().splitlines() if line.startswith("float32 50,31,32,32,2: ")]
    assert line.split(": ")[1].startswith("persistent_few_units") and line.count(" ms") == 4
