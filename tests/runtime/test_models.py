"""`runtime.save` and `runtime.load`: own files, files of other libraries, and what is refused."""

import os
import subprocess
import sys

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import checkpoints, numpy_lstm, runtime
from stacked_lstm.compat import tf
from support.engines.runtime import NEEDS_KERNELS
from support.networks.random_networks import random_layers
from support.references.numeric import relative_difference

pytestmark = NEEDS_KERNELS

RANDOM = np.random.RandomState(8)
LAYERS = random_layers(RANDOM, [4, 4], 3)
X = RANDOM.standard_normal([2, 5, 3])


def expected(**arguments):
    return numpy_lstm.forward(LAYERS, X.swapaxes(0, 1), **arguments)[0].swapaxes(0, 1)


def test_activations_are_in_the_file(tmp_path):
    path = tmp_path / "model.npz"
    runtime.save(path, LAYERS, activation="relu", recurrent_activation="hard_sigmoid")
    outputs, _ = runtime.load(path, dtype="float64")(X)
    assert relative_difference(outputs, expected(activation="relu", recurrent_activation="hard_sigmoid")) < 1e-14
    outputs, _ = runtime.load(path, dtype="float64", activation="tanh")(X)
    assert relative_difference(outputs, expected(recurrent_activation="hard_sigmoid")) < 1e-14


@pytest.mark.parametrize("name", ["model.npz", "model.safetensors", "model.weights.h5", "model.onnx"])
def test_files_of_other_libraries(tmp_path, name):
    path = str(tmp_path / name)
    checkpoints.write(path, LAYERS)
    outputs, _ = runtime.load(path, dtype="float64", threads=1)(X)
    assert relative_difference(outputs, expected()) < 1e-6


def test_an_npz_file_is_read_once(tmp_path, monkeypatch):
    """A file of `save`, and one of PyTorch: what the file is follows from the names of its arrays."""
    saved, other = (str(tmp_path / name) for name in ("saved.npz", "pytorch.npz"))
    runtime.save(saved, LAYERS)
    checkpoints.write(other, LAYERS)
    reads, load = [], np.load
    monkeypatch.setattr(np, "load", lambda *arguments, **options: reads.append(1) or load(*arguments, **options))
    for path in (saved, other):
        runtime.load(path)
    assert len(reads) == 2


def test_a_learned_start_of_onnx(tmp_path):
    path = str(tmp_path / "model.onnx")
    start = [{"c": RANDOM.standard_normal([4]), "h": RANDOM.standard_normal([4])} for _ in LAYERS]
    checkpoints.write(path, LAYERS, initial_state=start)
    states = [[np.tile(layer[field], (2, 1)) for field in "ch"] for layer in start]
    outputs, _ = runtime.load(path, dtype="float64")(X)
    assert relative_difference(outputs, expected(initial_state=states)) < 1e-6


def test_options_and_activations_that_no_array_shows(session, tmp_path):
    """The weights know the options of their stack. A plain list of the same arrays does not."""
    refused = {
        "model.npz": ["residual", "zoneout_h", "cell_clip"],
        "rnn.ckpt": ["zoneout_h"],
        "own.ckpt": [],
    }
    options = {"residual": {"residual": True}, "zoneout_h": {"zoneout_h": [0.0, 0.1]}, "cell_clip": {"cell_clip": 3.0}}
    for name, arguments in options.items():
        lstm = stacked_lstm.StackedLSTM([3, 3], name=name, engine="graph", **arguments)
        lstm(tf.ones([1, 2, 3]))
        session.run(tf.global_variables_initializer())
        layers = lstm.get_weights(session).layers
        formats = {"rnn.ckpt": "rnn_cell", "own.ckpt": "stacked_lstm"}
        for file in refused:
            path = str(tmp_path / file)
            if name in refused[file]:
                with pytest.raises(ValueError, match=f"^checkpoints.write: expected `layers` without .*, got `{name}`"):
                    checkpoints.write(path, layers, formats.get(file), overwrite=True)
            checkpoints.write(path, list(layers), formats.get(file), overwrite=True)
        with pytest.raises(ValueError, match=f"^runtime.save: .* a Predictor does not have, got `{name}`; list"):
            runtime.save(path + ".npz", layers)
    relu = stacked_lstm.StackedLSTM([3], activation="relu", name="relu", engine="graph")
    relu(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    weights = relu.get_weights(session)
    with pytest.raises(ValueError, match="^runtime.save: expected .* relu and sigmoid, got tanh and sigmoid"):
        runtime.save(tmp_path / "relu.npz", *weights)
    runtime.save(tmp_path / "relu.npz", *weights, activation="relu")


def test_options_of_both_directions(session, tmp_path):
    lstm = stacked_lstm.BidirectionalLSTM([3, 3], zoneout_c=[0.0, 0.1], engine="graph")
    lstm(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    forward, backward = (side.layers for side in lstm.get_weights(session))
    for layers in (forward, backward, forward + backward):
        assert isinstance(layers, list) and layers.options == ["zoneout_c"]
        with pytest.raises(ValueError, match="^checkpoints.write: expected `layers` without .*, got `zoneout_c`"):
            checkpoints.write(str(tmp_path / "model.npz"), layers, "pytorch")
    assert len(forward + backward) == 4 and type(forward + [{}]) is list
    lstm.set_weights(session, *lstm.get_weights(session))


@pytest.mark.parametrize("kind", ["learned", "projected"])
def test_a_stack_s_initial_state_is_never_lost(kind, tmp_path, session):
    """Layers of `get_weights` alone are refused, also those of two directions."""
    lstm = stacked_lstm.BidirectionalLSTM([3], initial_state=kind, engine="graph")
    lstm(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    weights, other = lstm.get_weights(session)
    message = "^{}: expected `initial_state`, because the stack of these layers has one: .*, got none"
    for layers in (weights.layers, weights.layers + other.layers):
        with pytest.raises(ValueError, match=message.format("checkpoints.write")):
            checkpoints.write(str(tmp_path / "model.npz"), layers, "pytorch")
    with pytest.raises(ValueError, match=message.format("runtime.save")):
        runtime.save(str(tmp_path / "model.npz"), weights.layers)
    with pytest.raises(ValueError, match=message.format("runtime.Predictor")):
        runtime.Predictor(weights.layers)
    assert not os.listdir(str(tmp_path))
    checkpoints.write(str(tmp_path / "model.npz"), list(weights.layers), "pytorch")
    checkpoints.write(str(tmp_path / "zeros.npz"), weights.layers, "stacked_lstm", initial_state=[])
    assert runtime.load(str(tmp_path / "zeros.npz")).hidden_sizes == [3]
    runtime.save(str(tmp_path / "saved.npz"), *weights)
    assert kind in repr(runtime.load(str(tmp_path / "saved.npz")))


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    runtime.save(path, LAYERS)
    with pytest.raises(ValueError, match="^runtime.save: expected .* `overwrite=True`, got .*model.npz, which exists"):
        runtime.save(path, LAYERS)
    with pytest.raises(ValueError, match="^runtime.save: expected an existing folder for .*, got none at .*nowhere"):
        runtime.save(tmp_path / "nowhere" / "model.npz", LAYERS)
    for layers, options, problem in (
        ([], {}, "`layers` to be a list with one mapping per layer"),
        ([dict(LAYERS[0], Wf=np.ones([2, 3]))], {}, r"`layers\[0\]\['Wf'\]` of shape"),
        (LAYERS, {"initial_state": [{"c": np.ones([4])}]}, "`initial_state` to be empty, or"),
        (LAYERS, {"activation": "mish"}, "`activation` to be one of"),
    ):
        with pytest.raises(ValueError, match="^runtime.save: expected " + problem):
            runtime.save(tmp_path / "new.npz", layers, **options)
    assert not os.path.exists(str(tmp_path / "new.npz"))
    runtime.save(path, LAYERS[:1], overwrite=True)
    assert runtime.load(path).hidden_sizes == [4]
    with pytest.raises(ValueError, match="^runtime.save: expected `path` to end in .npz, got 'model.ckpt'"):
        runtime.save("model.ckpt", LAYERS)
    arrays = {f"layer_2/{name}": array for name, array in LAYERS[0].items()}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"^runtime.load: expected layers with the numbers 1, 2, .*, got \[2\]"):
        runtime.load(path)
    np.savez(path, other=np.ones(3), **{f"layer_1/{name}": array for name, array in LAYERS[0].items()})
    with pytest.raises(
        ValueError, match="^runtime.load: expected only arrays of a stack, and of other_arrays/, in .*, got other"
    ):
        runtime.load(path)
    np.savez(path, weight_ih_l0_reverse=np.ones([12, 2]), weight_hh_l0_reverse=np.ones([12, 3]))
    with pytest.raises(ValueError, match="^runtime.load: expected layers in .* that read sequences forward"):
        runtime.load(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells the peak of memory so")
def test_a_process_without_tensorflow(tmp_path):
    """Nothing but NumPy is imported, and little memory is used."""
    path = str(tmp_path / "model.npz")
    runtime.save(path, LAYERS)
    program = (
        "import sys; from stacked_lstm import runtime; import numpy as np\n"
        f"outputs, state = runtime.load({path!r})(np.ones([1, 2, 3]))\n"
        "heavy = {'tensorflow', 'h5py', 'onnx', 'torch'} & {name.split('.')[0] for name in sys.modules}\n"
        "peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "print(outputs.shape, heavy, int(peak[0]) < 60 * 1024)"
    )
    printed = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert printed.split("\n")[0] == "(1, 2, 4) set() True"
