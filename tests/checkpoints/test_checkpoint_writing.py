"""TensorFlow checkpoints that were written: what restores them, what they keep, and that a failure changes nothing."""

import os

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, checkpoints, layouts, numpy_lstm
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.tensorflow import tensorflow_checkpoints
from stacked_lstm.compat import tf
from support.files.checkpoint_files import GOLDEN, PROGRAM, arrays_in, cell, folder, names_of, saved
from support.networks.random_networks import random_layers
from support.references import numeric
from support.references.plain_lstm import float32_layers


def test_a_saver_restores_what_was_converted(tmp_path, session):
    """A StackedLSTM restored from converted cells computes what TensorFlow 1.15 computed with the cells."""
    archive = np.load(os.path.join(GOLDEN, "cells.npz"))
    source = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="multi_three/.*")
    locations = checkpoints.write(str(tmp_path / "own.ckpt"), source.layers, "stacked_lstm", scope="mine/own")
    assert names_of(locations) == [f"mine/own/layer_{k}" for k in (1, 2, 3)]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "own.ckpt")
    lstm = StackedLSTM([5, 2, 4], name="mine/own")
    outputs, state = lstm(archive["multi_three/inputs"], sequence_length=archive["multi_three/sequence_length"])
    tf.train.Saver(lstm.variables).restore(session, str(tmp_path / "own.ckpt"))
    actual = dict({"outputs": outputs}, **{f"state/{k}": part for k, part in enumerate(sum(map(tuple, state), ()))})
    numeric.check_same(session.run(actual), {name: archive["multi_three/" + name] for name in actual}, 1e-6)


@pytest.mark.parametrize("forget_bias", [None, 0.0, 2.0])
def test_cells_there_and_back(forget_bias, tmp_path):
    """The weights are small integers, so that adding and subtracting the forget bias does not round."""
    layers = [{n: np.round(9 * a).astype(np.float32) for n, a in layer.items()} for layer in float32_layers([4, 2], 3)]
    path = str(tmp_path / "cells.ckpt")
    checkpoints.write(path, layers, "rnn_cell", forget_bias=forget_bias)
    arrays = arrays_in(path)
    scopes = [f"rnn/multi_rnn_cell/cell_{k}/lstm_cell" for k in range(2)]
    assert sorted(arrays) == sorted(f"{scope}/{name}" for scope in scopes for name in ("kernel", "bias"))
    bias_change = 1.0 if forget_bias is None else forget_bias
    np.testing.assert_array_equal(arrays[scopes[0] + "/bias"][8:12], layers[0]["bf"] - bias_change)
    for layer, reread in zip(layers, checkpoints.read(path, forget_bias=forget_bias).layers):
        assert all(files.same_bits(reread.weights[name], layer[name]) for name in layer)


@pytest.mark.parametrize(
    "format, count, scope, expected",
    [
        ("rnn_cell", 1, None, ["rnn/lstm_cell"]),
        ("rnn_cell", 1, "a/basic_lstm_cell", ["a/basic_lstm_cell"]),
        ("rnn_cell", 2, "a/cell_%d/lstm_cell", ["a/cell_0/lstm_cell", "a/cell_1/lstm_cell"]),
        ("cudnn_compatible", 1, None, ["rnn/cudnn_compatible_lstm_cell"]),
        ("stacked_lstm", 2, None, ["stacked_lstm/layer_1", "stacked_lstm/layer_2"]),
        ("stacked_lstm", 1, "100%", ["100%/layer_1"]),
        ("rnn_cell", 2, "a/lstm_cell", None),
        ("rnn_cell", 2, "a/%d/%d", None),
        ("rnn_cell", 1, "a/lstm_cell/", None),
    ],
)
def test_scopes(format, count, scope, expected, tmp_path):
    path, layers = str(tmp_path / "model.ckpt"), float32_layers([4] * count, 4)
    if expected is None:
        layers_named = "a layer" if count == 1 else f"{count} layers, with %d for the number"
        with pytest.raises(ValueError, match=f"checkpoints.write: expected `scope` to name {layers_named}"):
            checkpoints.write(path, layers, format, scope=scope)
        assert folder(tmp_path) == {}
        return
    assert names_of(checkpoints.write(path, layers, format, scope=scope)) == expected
    assert {name.rpartition("/")[0] for name in arrays_in(path)} == set(expected)


@pytest.mark.parametrize(
    "format, scope, layout",
    [
        ("cudnn_compatible", "rnn/lstm_cell", "rnn_cell"),
        ("cudnn_compatible", "rnn/x", "rnn_cell"),
        ("rnn_cell", "rnn/cudnn_compatible_lstm_cell", "cudnn_compatible"),
    ],
)
def test_scopes_of_another_layout(format, scope, layout, tmp_path):
    """The forget bias of 1 would be lost, or added twice."""
    message = (
        f"`scope` to be a name of layers of the layout {format}, got {scope}, which is read as the layout {layout}"
    )
    with pytest.raises(ValueError, match=message):
        checkpoints.write(str(tmp_path / "model.ckpt"), float32_layers([4], 4), format, scope=scope)
    assert folder(tmp_path) == {}


def test_a_cudnn_compatible_cell_with_its_own_name(tmp_path):
    """As the message for its format says."""
    path, (layer,) = str(tmp_path / "model.ckpt"), float32_layers([4], 4)
    checkpoints.write(path, [layer], "rnn_cell", "rnn/encoder", forget_bias=0)
    for name, array in layouts.pack(layer, "cudnn_compatible").items():
        np.testing.assert_array_equal(arrays_in(path)[f"rnn/encoder/{name}"], array)


def test_a_scope_of_a_cell_with_its_own_name(tmp_path):
    path, layers = str(tmp_path / "model.ckpt"), float32_layers([4], 4)
    checkpoints.write(path, layers, "rnn_cell", scope="rnn/encoder")
    with pytest.raises(ValueError, match="got none; `names` can select rnn/encoder"):
        checkpoints.read(path)
    (layer,) = checkpoints.read(path, names="rnn/encoder").layers
    np.testing.assert_allclose(layer.weights["bf"], layers[0]["bf"], rtol=1e-6)


@pytest.mark.parametrize("projection", [4, 6])
def test_projections_that_pytorch_does_not_have(projection, tmp_path):
    random = np.random.RandomState(0)
    layer = {name: random.standard_normal([projection + 3, 4]) for name in ("Wf", "Wi", "Wo", "Wc")}
    layer["Wp"] = random.standard_normal([4, projection])
    message = f"fewer columns than there are units, as in an nn.LSTM, got {projection} columns and 4 units"
    with pytest.raises(ValueError, match=message):
        checkpoints.write(str(tmp_path / "model.npz"), [layer], "pytorch")
    layer = {name: array[: 2 + 3] if name != "Wp" else array[:, :2] for name, array in layer.items()}
    checkpoints.write(str(tmp_path / "model.npz"), [layer], "pytorch")
    assert checkpoints.read(str(tmp_path / "model.npz")).layers[0].sizes == (3, 4, 2)


def test_a_program_keeps_its_variables_and_its_optimizer(tmp_path):
    """The language model of 2017, trained by Adam, is converted to a StackedLSTM and back to its own names."""
    original = arrays_in(PROGRAM)
    source = checkpoints.read(PROGRAM)
    assert [list(layer.slots) for layer in source.layers] == [[("model", "Adam"), ("model", "Adam_1")]] * 2
    stack_path = str(tmp_path / "own.ckpt")
    checkpoints.write(stack_path, source.layers, "stacked_lstm", other_arrays=source.other_arrays)
    stack_arrays = arrays_in(stack_path)
    stack_names = {name for name in stack_arrays if "stacked_lstm/" in name}
    cell_names = {name for name in original if "lstm_cell/" in name}
    assert len(stack_names) == 3 * 2 * 8 and len(cell_names) == 3 * 2 * 2
    assert set(stack_arrays) - stack_names == set(original) - cell_names
    assert all(files.same_bits(stack_arrays[name], original[name]) for name in set(stack_arrays) - stack_names)
    kernel = "model/model/RNN/multi_rnn_cell/cell_0/lstm_cell/kernel/Adam_1"
    size = original[kernel].shape[1] // 4
    inputs = len(original[kernel]) - size
    for k, gate in enumerate("icfo"):
        columns = original[kernel][:, k * size : (k + 1) * size]
        expected = np.concatenate([columns[inputs:], columns[:inputs]])
        np.testing.assert_array_equal(stack_arrays[f"model/stacked_lstm/layer_1/W{gate}/Adam_1"], expected)
        bias = original[kernel.replace("kernel", "bias")][k * size : (k + 1) * size]
        np.testing.assert_array_equal(
            stack_arrays[f"model/stacked_lstm/layer_1/b{gate}/Adam_1"], bias
        )  # Slots contain no forget bias.
    reread, back_path = checkpoints.read(stack_path), str(tmp_path / "back.ckpt")
    scope = "model/RNN/multi_rnn_cell/cell_%d/lstm_cell"
    checkpoints.write(back_path, reread.layers, "rnn_cell", scope, other_arrays=reread.other_arrays)
    back_arrays = arrays_in(back_path)
    assert set(back_arrays) == set(original)
    biases = {(scope % k) + "/bias" for k in range(2)}
    assert all(files.same_bits(back_arrays[name], original[name]) for name in set(original) - biases)
    assert all(
        np.max(np.abs(back_arrays[name] - original[name])) <= 2**-23 for name in biases
    )  # The forget bias 1 was added and subtracted.


def test_other_slots_and_kinds_of_variables(tmp_path):
    """A moving average contains the forget bias. What only some variables have, or with other shapes, is no slot."""
    scope, arrays = "rnn/lstm_cell", {}
    for suffix, seed in [("", 0), ("/ExponentialMovingAverage", 1), ("/Momentum", 2)]:
        arrays.update({name + suffix: array for name, array in cell(scope, seed=seed).items()})
    other_variables = {
        scope + "/kernel/RMSProp": np.ones([7, 16], np.float32),
        scope + "/kernel/Factor": np.ones([7], np.float32),
        scope + "/bias/Factor": np.ones([1], np.float32),
        "text": b"with a zero at its end\0",
        "global_step": np.int64(2**40),
        "flags": np.array([True, False]),
        "empty": np.zeros([0, 3]),
        "half": np.arange(4, dtype=np.float16),
    }
    path = saved(tmp_path / "model.ckpt", dict(arrays, **other_variables))
    source = checkpoints.read(path)
    assert set(source.layers[0].slots) == {("", "ExponentialMovingAverage"), ("", "Momentum")}
    checkpoints.write(str(tmp_path / "own.ckpt"), source.layers, "stacked_lstm", other_arrays=source.other_arrays)
    actual = arrays_in(tmp_path / "own.ckpt")
    assert all(files.same_bits(actual[name], arrays_in(path)[name]) for name in other_variables)
    assert actual["text"] == other_variables["text"]
    for suffix, bias_change in [("", 1), ("/ExponentialMovingAverage", 1), ("/Momentum", 0)]:
        expected = arrays["rnn/lstm_cell/bias" + suffix][8:12] + np.float32(bias_change)
        np.testing.assert_array_equal(actual["stacked_lstm/layer_1/bf" + suffix], expected)
    reread = checkpoints.read(str(tmp_path / "own.ckpt"))
    scope = "rnn/cudnn_compatible_lstm_cell"
    checkpoints.write(str(tmp_path / "cudnn.ckpt"), reread.layers, "cudnn_compatible", scope)
    actual = arrays_in(tmp_path / "cudnn.ckpt")  # These cells add no forget bias.
    for suffix, bias_change in [("", 1), ("/ExponentialMovingAverage", 1), ("/Momentum", 0)]:
        expected = arrays["rnn/lstm_cell/bias" + suffix][8:12] + np.float32(bias_change)
        np.testing.assert_array_equal(actual[scope + "/bias" + suffix][8:12], expected)


def test_slots_of_a_stack_without_biases(tmp_path):
    """Cells always have a bias, and their optimizer has a slot for it."""
    (layer,) = float32_layers([4], 3, use_bias=False)
    arrays = {f"own/layer_1/{name}{slot}": array for name, array in layer.items() for slot in ("", "/Momentum")}
    source = checkpoints.read(saved(tmp_path / "own.ckpt", arrays))
    checkpoints.write(str(tmp_path / "cell.ckpt"), source.layers, "rnn_cell")
    actual = arrays_in(tmp_path / "cell.ckpt")
    assert sorted(actual) == [f"rnn/lstm_cell/{n}{s}" for n in ("bias", "kernel") for s in ("", "/Momentum")]
    np.testing.assert_array_equal(actual["rnn/lstm_cell/bias"], np.repeat(np.float32([0, 0, -1, 0]), 4))
    assert not np.any(actual["rnn/lstm_cell/bias/Momentum"])


def test_peepholes_and_projections_where_there_is_a_place(tmp_path):
    source = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="lstm_all_options/.*", forget_bias=0.5)
    checkpoints.write(str(tmp_path / "cell.ckpt"), source.layers, "rnn_cell", forget_bias=0.0)
    (actual,) = checkpoints.read(str(tmp_path / "cell.ckpt"), forget_bias=0.0).layers
    assert {"pf", "pi", "po", "Wp"} <= set(actual.weights)
    assert all(files.same_bits(actual.weights[name], source.layers[0].weights[name]) for name in actual.weights)
    checkpoints.write(str(tmp_path / "own.ckpt"), source.layers, "stacked_lstm")
    (own,) = checkpoints.read(str(tmp_path / "own.ckpt")).layers
    assert own.name == "stacked_lstm/layer_1" and set(own.weights) == set(actual.weights)
    assert all(files.same_bits(own.weights[name], source.layers[0].weights[name]) for name in own.weights)
    with pytest.raises(ValueError, match="has peepholes, for which the layout 'keras' has no place"):
        checkpoints.write(str(tmp_path / "own.h5"), source.layers)


def test_mappings_as_get_weights_has_them(tmp_path):
    layers = float32_layers([4, 2], 3)
    del layers[0]["bf"], layers[0]["bi"], layers[0]["bo"], layers[0]["bc"]
    checkpoints.write(str(tmp_path / "own.ckpt"), layers, "stacked_lstm")
    actual = checkpoints.read(str(tmp_path / "own.ckpt")).layers
    assert set(actual[0].weights) == set(actual[1].weights)  # Either all layers of a stack have biases or none.
    x = np.random.RandomState(0).standard_normal([5, 2, 3])
    outputs = [numpy_lstm.forward(stack, x)[0] for stack in (layers, [layer.weights for layer in actual])]
    np.testing.assert_array_equal(*outputs)
    with pytest.raises(
        ValueError,
        match=r"expected `layers\[0\]` to be a CheckpointLayer or a mapping .*, got an object of the class str",
    ):
        checkpoints.write(str(tmp_path / "no.ckpt"), ["Wf"], "stacked_lstm")
    with pytest.raises(ValueError, match=r"`layers` to be a list of layers, got \[\]"):
        checkpoints.write(str(tmp_path / "no.ckpt"), [], "stacked_lstm")


def test_a_template_keeps_all_else(tmp_path):
    scopes = ["net/fw/lstm_cell", "net/bw/lstm_cell"]
    arrays = dict(cell(scopes[0]), **cell(scopes[1], seed=1))
    arrays.update(
        {"dense/kernel": np.ones([2, 3], np.float32), scopes[0] + "/kernel/Adam": np.ones([7, 16], np.float32)}
    )
    template, target = saved(tmp_path / "model.ckpt", arrays), str(tmp_path / "new.ckpt")
    layers = float32_layers([4], 3)
    checkpoints.write(target, layers, "rnn_cell", template=template, template_names="net/fw/.*", forget_bias=0.0)
    actual = arrays_in(target)
    assert set(actual) == set(arrays)
    changed = {name for name in arrays if not files.same_bits(actual[name], arrays[name])}
    assert changed == {scopes[0] + "/kernel", scopes[0] + "/bias"}
    np.testing.assert_array_equal(actual[scopes[0] + "/bias"][8:12], layers[0]["bf"])
    pair = checkpoints.read(template).layers
    assert [layer.direction for layer in pair] == ["forward", "backward"]
    checkpoints.write(target, pair, "rnn_cell", template=template, overwrite=True)
    for wrong, message in [
        (
            pair[::-1],
            r"expected `layers` like those of .*model.ckpt \(.*fw/lstm_cell forward, .*\), got .*bw/lstm_cell backward",
        ),
        (layers, "expected `layers` like those of .* backward\\), got"),
        (float32_layers([4, 5], 3), r"expected `layers` like those of"),
    ]:
        with pytest.raises(ValueError, match=message):
            checkpoints.write(target, wrong, "rnn_cell", template=template, overwrite=True)
    forward = dict(template=template, template_names="net/fw/.*")
    for wrong, change, message in [
        (
            float32_layers([4], 4),
            {},
            r"expected arrays for net/fw/lstm_cell of .*kernel float32 \[7, 16\], got kernel float32 \[8, 16\]$",
        ),
        (layers, dict(other_arrays=arrays), "expected no `other_arrays`, except in a new TensorFlow checkpoint, got"),
        (layers, dict(scope="net/fw/lstm_cell"), "expected no `scope`, since `template` names the layers, got"),
        (layers, dict(template=None), "expected no `template_names` without `template`, got 'net/fw/"),
        (layers, dict(template_names="net/no"), "expected `template_names` to match the names .* names are net/fw/"),
    ]:
        with pytest.raises(ValueError, match=message):
            checkpoints.write(str(tmp_path / "b.ckpt"), wrong, "rnn_cell", **dict(forward, **change))


@pytest.mark.parametrize(
    "change, message",
    [
        (
            dict(overwrite=False),
            "expected the name of a new file, or `overwrite=True`, got .*own.ckpt.index, which exists",
        ),
        (
            dict(other_arrays={"stacked_lstm/layer_1/Wf": np.zeros(1)}),
            "expected `scope` to give names that differ from those of `other_arrays`, got stacked_lstm/",
        ),
        (dict(layers=float32_layers([4], 3) + float32_layers([4], 3)), "each as wide as the next one's input, got"),
        (
            dict(layers=[float32_layers([4], 3)[0], random_layers(np.random, [4], 4)[0]]),
            "expected `layers` to have one dtype, got",
        ),
        (dict(path="missing/own.ckpt"), "expected an existing folder for .*own.ckpt"),
        (dict(path="."), "expected the name of a file, got the folder"),
        (
            dict(format=None),
            "expected a file name that ends in one of .weights.h5 .h5 .* `format` as one of .* got .*own.ckpt",
        ),
        (
            dict(path="own.h5", format=None, other_arrays={"a": np.zeros(1)}),
            "expected no `other_arrays`, except in a new",
        ),
    ],
)
def test_errors_change_nothing(change, message, tmp_path):
    arguments = dict(path="own.ckpt", layers=float32_layers([4], 3), format="stacked_lstm", overwrite=True)
    checkpoints.write(str(tmp_path / "own.ckpt"), arguments["layers"], "stacked_lstm")
    before = folder(tmp_path)
    arguments.update(change, path=str(tmp_path / change.get("path", "own.ckpt")))
    with pytest.raises(ValueError, match="checkpoints.write: .*" + message):
        checkpoints.write(**arguments)
    assert folder(tmp_path) == before


@pytest.mark.parametrize("broken", ["another number", "cut off", "no room"])
def test_what_was_not_written_well_is_not_renamed(broken, tmp_path, monkeypatch):
    layers = float32_layers([4], 3)
    checkpoints.write(str(tmp_path / "own.ckpt"), layers, "stacked_lstm")
    before, codec = folder(tmp_path), tensorflow_checkpoints.CODEC

    def save_badly(path, content, target):
        if broken == "another number":
            content.arrays["stacked_lstm/layer_1/bf"] = np.nextafter(content.arrays["stacked_lstm/layer_1/bf"], 9)
            codec.save(path, content._replace(arrays=dict(content.arrays)), target)
            content.arrays["stacked_lstm/layer_1/bf"] = layers[0]["bf"]
        elif broken == "cut off":
            codec.save(path, content, target)
            with open(path + ".data-00000-of-00002", "r+b") as file:
                file.truncate(100)
        else:
            raise OSError("no space left on device")

    monkeypatch.setattr(tensorflow_checkpoints, "CODEC", codec._replace(save=save_badly))
    messages = {
        "another number": "to hold what was written, got other numbers in stacked_lstm/layer_1/bf$",
        "cut off": "expected a TensorFlow checkpoint in ",
        "no room": "expected arrays that can be written in .*no space left",
    }
    with pytest.raises(ValueError, match=messages[broken]):
        checkpoints.write(str(tmp_path / "own.ckpt"), layers, "stacked_lstm", overwrite=True)
    assert folder(tmp_path) == before


def test_an_average_with_a_name_of_its_own(tmp_path):
    scope, path = "rnn/lstm_cell", tmp_path / "own.ckpt"
    arrays = dict(cell(scope), **{name + "/mean": array for name, array in cell(scope, seed=1).items()})
    source = checkpoints.read(saved(tmp_path / "model.ckpt", arrays))
    for averages, bias_change in [(["mean"], 1), (["ExponentialMovingAverage"], 0)]:
        checkpoints.write(str(path), source.layers, "stacked_lstm", overwrite=True, averages=averages)
        expected = arrays[scope + "/bias/mean"][8:12] + np.float32(bias_change)
        np.testing.assert_array_equal(arrays_in(path)["stacked_lstm/layer_1/bf/mean"], expected)


@pytest.mark.parametrize("forget_bias, same", [(None, True), (0.5, False)])
def test_cells_to_cells_do_not_round(forget_bias, same, tmp_path):
    arrays = cell("rnn/lstm_cell")
    arrays["rnn/lstm_cell/bias"] *= np.float32(1e-3)  # 1 + bias rounds.
    arrays.update({name + "/ExponentialMovingAverage": array for name, array in arrays.items()})
    source = checkpoints.read(saved(tmp_path / "model.ckpt", arrays))
    path = str(tmp_path / "new.ckpt")
    checkpoints.write(path, source.layers, "rnn_cell", forget_bias=forget_bias)
    actual = arrays_in(path)
    assert set(actual) == set(arrays)
    assert all(files.same_bits(actual[name], arrays[name]) == (same or "kernel" in name) for name in arrays)
    changed = [
        source.layers[0]._replace(weights=float32_layers([4], 3)[0])
    ]  # The new weights count, not the arrays that were read.
    checkpoints.write(path, changed, "rnn_cell", overwrite=True)
    expected = changed[0].weights["bf"] - np.float32(1)
    np.testing.assert_array_equal(arrays_in(path)["rnn/lstm_cell/bias"][8:12], expected)


def test_the_format_says_which_layers_of_a_template_are_meant(tmp_path):
    old, (layer,) = cell("rnn/lstm_cell"), float32_layers([4], 3)
    old.update({"own/layer_1/" + name: 2 * array for name, array in layer.items()})
    template, path = saved(tmp_path / "model.ckpt", old), str(tmp_path / "new.ckpt")
    assert names_of(checkpoints.write(path, [layer], "rnn_cell", template=template)) == ["rnn/lstm_cell"]
    actual = arrays_in(path)
    changed = {name for name in old if not files.same_bits(actual[name], old[name])}
    assert changed == {"rnn/lstm_cell/kernel", "rnn/lstm_cell/bias"}


def test_what_would_not_be_found_again_is_not_written(tmp_path, monkeypatch):
    codec = tensorflow_checkpoints.CODEC._replace(find=lambda content, path: [])
    monkeypatch.setattr(tensorflow_checkpoints, "CODEC", codec)
    with pytest.raises(
        ValueError, match="expected `scope` to be a name by which layers can be found, got stacked_lstm/layer_1"
    ):
        checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm")
    assert folder(tmp_path) == {}
