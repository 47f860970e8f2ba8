"""TensorFlow checkpoints: which layers `read` finds, and that these compute what the program computed."""

import os

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, checkpoints, layouts
from stacked_lstm.compat import tf
from support.files.checkpoint_files import GOLDEN, cell, names_of, saved
from support.networks.random_networks import GATES, random_layers
from support.references import numeric, plain_lstm

# Case of the golden files -> the forget bias of its cells.
CELLS = {
    "basic_lstm": 1.0,
    "basic_lstm_forget_bias_zero": 0.0,
    "basic_lstm_forget_bias_large": 2.5,
    "basic_lstm_name": 1.0,
    "basic_lstm_float64": 1.0,
    "lstm": 1.0,
    "lstm_peepholes_initial_state": 1.0,
    "lstm_projection_initial_state": 1.0,
    "lstm_projection_wider": 1.0,
    "lstm_shards": 1.0,  # Its kernel and its projection are partitioned variables.
    "lstm_float64": 1.0,
    "multi_three_initial_state": 1.0,
    "multi_mixed": 1.0,
    "multi_nested": 1.0,
    "both": 1.0,
    "both_no_lengths": 1.0,
}
BLOCK_CELLS = {
    "block_initial_state": 1.0,
    "block_forget_bias_zero": 0.0,
    "block_peepholes": 1.0,
    "cudnn_compatible": 1.0,  # It adds none, whatever the argument is.
    "cudnn_compatible_multi": 1.0,
}
TIME_MAJOR = ("multi_three_initial_state", "block_initial_state")


@pytest.mark.parametrize("file, case", [("cells", case) for case in CELLS] + [("block_cells", c) for c in BLOCK_CELLS])
def test_what_tensorflow_1_15_computed(file, case):
    archive = np.load(os.path.join(GOLDEN, file + ".npz"))
    golden = {key[len(case) + 1 :]: archive[key] for key in archive.files if key.startswith(case + "/")}
    forget_bias = dict(CELLS, **BLOCK_CELLS)[case]
    source = checkpoints.read(os.path.join(GOLDEN, file + ".ckpt"), None, case + "/.*", forget_bias)
    assert 2 * len(source.layers) == len([key for key in golden if key.startswith("state/")]) > 0
    x, states = golden["inputs"], [golden.get(f"initial_state/{k}") for k in range(2 * len(source.layers))]
    x = x.transpose(1, 0, 2) if case in TIME_MAJOR else x
    states = None if states[0] is None else list(zip(states[::2], states[1::2]))
    outputs, finals = [], []
    for direction in sorted({layer.direction for layer in source.layers}, reverse=True):
        layers = [layer.weights for layer in source.layers if layer.direction == direction]
        result = plain_lstm.run(layers, x, golden.get("sequence_length"), direction == "backward", states)
        outputs.append(result[0])
        finals += [part for state in result[1] for part in state]
    actual = {"outputs": np.concatenate(outputs, axis=2)}
    actual.update((f"state/{k}", value) for k, value in enumerate(finals))
    expected = {key: golden[key] for key in actual}
    if case in TIME_MAJOR:
        expected["outputs"] = expected["outputs"].transpose(1, 0, 2)
    numeric.check_same(actual, expected, 1e-12 if "float64" in case else 1e-6)


def test_networks_and_directions():
    layers = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="both_initial_state/.*").layers
    below = "both_initial_state/bidirectional_rnn/"
    assert [(layer.name, layer.network, layer.direction) for layer in layers] == [
        (below + "fw/multi_rnn_cell/cell_0/lstm_cell", below + "fw", "forward"),
        (below + "fw/multi_rnn_cell/cell_1/lstm_cell", below + "fw", "forward"),
        (below + "bw/lstm_cell", below + "bw", "backward"),
    ]
    assert [layer.sizes for layer in layers] == [(3, 4, None), (4, 2, None), (3, 5, 2)]


def test_cells_by_number_not_by_letter(tmp_path):
    scopes = [f"rnn/multi_rnn_cell/cell_{k}/lstm_cell" for k in range(12)] + ["rnn/lstm_cell", "rnn/lstm_cell_1"]
    arrays = {}
    for k, scope in enumerate(scopes):
        arrays.update(cell(scope, seed=k))
    actual = checkpoints.read(saved(tmp_path / "model.ckpt", arrays)).layers
    assert names_of(actual) == scopes[12:] + scopes[:12]
    for layer in actual:
        np.testing.assert_array_equal(layer.arrays["kernel"], arrays[layer.name + "/kernel"])
        np.testing.assert_array_equal(layer.weights["bf"], arrays[layer.name + "/bias"][8:12] + np.float32(1))


def test_names_of_tensorflow_1_0_in_a_v1_checkpoint(tmp_path):
    arrays = cell("rnn/basic_lstm_cell", names=("weights", "biases"))
    path = saved(tmp_path / "old.ckpt", arrays, tf.train.SaverDef.V1)
    assert os.path.exists(path) and not os.path.exists(path + ".index")
    (actual,) = checkpoints.read(path).layers
    expected = layouts.unpack([arrays["rnn/basic_lstm_cell/weights"], arrays["rnn/basic_lstm_cell/biases"]], "rnn_cell")
    assert all(np.array_equal(actual.weights[name], expected[name]) for name in expected)


def test_a_dense_layer_is_none_unless_named(tmp_path):
    arrays = dict(cell("rnn/lstm_cell"), **cell("dense", seed=1))
    arrays.update(cell("rnn/layer_norm_basic_lstm_cell", seed=2), **{"gru/gates/kernel": np.ones([3, 4], np.float32)})
    path = saved(tmp_path / "model.ckpt", arrays)
    source = checkpoints.read(path)
    assert names_of(source.layers) == ["rnn/lstm_cell"]
    assert names_of(source.other_layers) == ["dense", "rnn/layer_norm_basic_lstm_cell"]
    assert all("another name" in layer.remark for layer in source.other_layers)
    assert set(source.other_arrays) == set(arrays) - {"rnn/lstm_cell/kernel", "rnn/lstm_cell/bias"}
    selection = checkpoints.read(path, names="dense")
    assert names_of(selection.layers) == ["dense"] and len(selection.other_layers) == 2
    assert {"rnn/lstm_cell/kernel", "rnn/lstm_cell/bias"} <= set(selection.other_arrays)


def test_keras_layers_in_a_checkpoint(tmp_path):
    """A Saver saved layers of tf.compat.v1.keras, whose kernels have the names of those of cells."""
    (layer,) = random_layers(np.random.RandomState(0), [2], 3)
    layer = {name: array.astype(np.float32) for name, array in layer.items()}
    scopes = ["lstm", "lstm_1/lstm_cell"]  # Versions of Keras differ in whether the name of the cell is there.
    arrays = {f"{scope}/{n}": a for scope in scopes for n, a in layouts.pack(layer, "keras").items()}
    arrays.update({"gru/" + name: np.ones([2, 6], np.float32) for name in ("kernel", "recurrent_kernel")})
    source = checkpoints.read(saved(tmp_path / "model.ckpt", arrays))
    assert [(layer.name, layer.layout) for layer in source.layers] == [(scope, "keras") for scope in scopes]
    for actual in source.layers:
        assert all(np.array_equal(actual.weights[name], layer[name]) for name in layer)


def test_our_own_stacks(tmp_path, session):
    stacks = {"first": "zeros", "outer/second": "learned", "third": "projected"}
    for name, start in stacks.items():
        StackedLSTM([3, 2], initial_state=start, name=name, use_bias=name != "first").build(4)
    session.run(tf.global_variables_initializer())
    path = tf.train.Saver().save(session, str(tmp_path / "own.ckpt"))
    source = checkpoints.read(path)
    assert names_of(source.layers) == [f"{name}/layer_{k}" for name in stacks for k in (1, 2)]
    assert [layer.network for layer in source.layers] == [name for name in stacks for _ in range(2)]
    assert source.other_arrays == {}
    states = [name for layer in source.layers for name in layer.location.initial_state.values()]
    assert sorted(states) == sorted(
        [f"outer/second/initial_state/layer_{k}/{n}" for k in (1, 2) for n in "ch"]
        + [f"third/initial_state/layer_{k}/W_{n}" for k in (1, 2) for n in "ch"]
    )
    values = session.run({v.op.name: v for v in tf.global_variables()})
    for layer in source.layers:
        assert set(layer.weights) == {"W" + k for k in GATES} | (
            {"b" + k for k in GATES} if "first" not in layer.name else set()
        )
        for name, array in layer.weights.items():
            np.testing.assert_array_equal(array, values[f"{layer.name}/{name}"])
    assert names_of(checkpoints.read(path, "stacked_lstm", "third/.*").layers) == ["third/layer_1", "third/layer_2"]
    with pytest.raises(ValueError, match="expected LSTM layers in .*own.ckpt, got none"):
        checkpoints.read(path, "rnn_cell")


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"rnn/lstm_cell/kernel": np.zeros([4, 16], np.float32)}, r"for rnn/lstm_cell in .*model.ckpt.*\[4, 16\]"),
        ({"rnn/lstm_cell/kernel": np.zeros([7, 15], np.float32)}, r"\[7, 15\]"),
        ({"rnn/lstm_cell/bias": np.zeros([12], np.float32)}, r"\[12\]"),
        ({"rnn/lstm_cell/bias": None}, r"no rnn/lstm_cell/bias"),
        ({"rnn/lstm_cell/w_f_diag": np.zeros([4], np.float32)}, "w_f_diag"),
        ({"rnn/lstm_cell/kernel": np.zeros([7, 16], np.int32)}, "int32"),
        ({"own/layer_1/Wf": np.zeros([7, 4], np.float32)}, "layout stacked_lstm for own/layer_1 in .*model.ckpt"),
    ],
)
def test_arrays_that_are_no_layer(changed, message, tmp_path):
    arrays = dict(cell("rnn/lstm_cell"), **changed)
    path = saved(tmp_path / "model.ckpt", {name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match="checkpoints.read: expected LSTM arrays in the .*" + message):
        checkpoints.read(path)


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(ValueError, match="checkpoints.read: expected a TensorFlow checkpoint in .*missing.ckpt"):
        checkpoints.read(str(tmp_path / "missing.ckpt"))
    with pytest.raises(ValueError, match="expected a TensorFlow checkpoint in "):
        checkpoints.read(str(tmp_path))
    saved(tmp_path / "model.ckpt", cell("rnn/lstm_cell"))
    assert len(checkpoints.read(str(tmp_path)).layers) == 1  # The last checkpoint in the folder.
    for name in os.listdir(str(tmp_path)):
        whole = (tmp_path / name).read_bytes()
        if name.startswith("model.ckpt"):
            (tmp_path / name).write_bytes(whole[: len(whole) // 2])
            with pytest.raises(ValueError, match="expected a TensorFlow checkpoint in .*model.ckpt, got "):
                checkpoints.read(str(tmp_path / "model.ckpt"))
            (tmp_path / name).write_bytes(whole)
    assert len(checkpoints.read(str(tmp_path / "model.ckpt")).layers) == 1


def test_bad_arguments(tmp_path):
    path = saved(tmp_path / "model.ckpt", cell("rnn/lstm_cell"))
    with pytest.raises(ValueError, match="expected `format` to be one of .*onnx.*, got 'torch'"):
        checkpoints.read(path, "torch")
    with pytest.raises(ValueError, match=r"expected `names` to be a regular expression for names of layers, got '\('"):
        checkpoints.read(path, names="(")
    with pytest.raises(
        ValueError, match="expected `names` to match the names of .*, got 'gru'; the names are rnn/lstm_cell"
    ):
        checkpoints.read(path, names="gru")
    with pytest.raises(ValueError, match="expected `forget_bias` to be a finite number"):
        checkpoints.read(path, forget_bias=float("inf"))


def test_directions_of_keras_layers(tmp_path):
    arrays = {}
    for side in ("forward", "backward"):
        for name, shape in [("kernel", [3, 16]), ("recurrent_kernel", [4, 16]), ("bias", [16])]:
            arrays[f"bidirectional/{side}_lstm/lstm_cell/{name}"] = np.ones(shape, np.float32)
    actual = checkpoints.read(saved(tmp_path / "model.ckpt", arrays)).layers
    assert [(layer.name.split("/")[1], layer.direction) for layer in actual] == [
        ("forward_lstm", "forward"),
        ("backward_lstm", "backward"),
    ]


OWN_GAP = {f"own/layer_{k}/W{gate}": np.ones([8, 4], np.float32) for k in (1, 3) for gate in "fioc"}
ABOVE = "rnn/multi_rnn_cell/cell_%d/lstm_cell"


@pytest.mark.parametrize(
    "arrays, message",
    [
        (dict(cell(ABOVE % 0, 4), **cell(ABOVE % 2, 4)), "got no rnn/multi_rnn_cell/cell_1"),
        (cell(ABOVE % 1, 4), "got no rnn/multi_rnn_cell/cell_0"),
        (
            dict(cell(ABOVE % 0), **{ABOVE % 1 + "/bias": np.ones([16], np.float32)}),
            "cell_1.*got no .*cell_1/lstm_cell/kernel, ",
        ),
        (OWN_GAP, "got no own/layer_2"),
    ],
)
def test_layers_that_are_missing(arrays, message, tmp_path):
    path = saved(tmp_path / "model.ckpt", arrays)
    with pytest.raises(ValueError, match="checkpoints.read: expected .*" + message):
        checkpoints.read(path)
    last = "own/layer_3" if "own/layer_3/Wf" in arrays else sorted(arrays)[0].rpartition("/")[0]
    assert names_of(checkpoints.read(path, names=last).layers) == [last]


def test_a_stranger_does_not_block_a_file(tmp_path):
    unrelated = {"mlp/layer_1/Wo": [3, 2], "other/lstm_cell/kernel": [3, 3, 8, 16], "other/lstm_cell/bias": [16]}
    arrays = dict(cell("rnn/lstm_cell"), **{name: np.ones(shape, np.float32) for name, shape in unrelated.items()})
    path = saved(tmp_path / "model.ckpt", arrays)
    source = checkpoints.read(path, names="rnn/.*")
    assert (
        names_of(source.layers) == ["rnn/lstm_cell"]
        and source.other_layers == []
        and set(source.other_arrays) == set(unrelated)
    )
    with pytest.raises(
        ValueError, match="expected LSTM arrays .* for mlp/layer_1 in .*, or `names` to select other layers"
    ):
        checkpoints.read(path)


def test_what_is_printed_is_short(tmp_path):
    """It has names and sizes, but no arrays, and at most four layers."""
    arrays = {}
    for k in range(6):
        arrays.update(cell(ABOVE % k, 4 if k else 3))
    source = checkpoints.read(saved(tmp_path / "model.ckpt", dict(arrays, **cell("dense"))))
    layers = ", ".join(f"{ABOVE % k} [{4 if k else 3} -> 4]" for k in range(4))
    path = tmp_path / "model.ckpt"
    assert repr(source) == f"<Checkpoint {path}: 6 layers ({layers}, ...), 1 other layer, 2 other arrays>"
    projected = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="both_initial_state/.*/bw/.*").layers
    assert repr(projected) == (
        "[<CheckpointLayer both_initial_state/bidirectional_rnn/bw/lstm_cell: "
        "layout rnn_cell, input size 3, hidden size 5, projection size 2, backward>]"
    )
    plan = checkpoints.plan(str(tmp_path / "own.ckpt"), source.layers, "stacked_lstm")
    assert repr(plan) == f"<Plan {tmp_path / 'own.ckpt'}: 6 layers, 48 arrays>"
