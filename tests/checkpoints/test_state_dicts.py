"""State_dicts of PyTorch as .npz and .safetensors: golden files are read and computed with; files are written."""

import os
import pickle
import sys

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.checkpoints.safety import files
from support.files.checkpoint_files import GOLDEN, folder, names_of
from support.references import numeric, plain_lstm
from support.references.plain_lstm import float32_layers

PYTORCH = os.path.join(os.path.dirname(GOLDEN), "pytorch")
CASES = ["stacked", "no_bias", "projection", "bidirectional", "bidirectional_stacked"]
SUFFIXES = [".npz", ".safetensors"]


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed (the extra `test` brings it)")
    return request.param


@pytest.mark.parametrize("case", CASES)
def test_what_pytorch_computed(case, suffix):
    archive = np.load(os.path.join(PYTORCH, "network.npz"))
    golden = {key[len(case) + 1 :]: archive[key] for key in archive.files if key.startswith(case + "/")}
    source = checkpoints.read(os.path.join(PYTORCH, case + suffix))
    assert sorted(source.other_arrays) == ["head.bias", "head.weight"]
    sides = ["", "_reverse"] if case.startswith("bidirectional") else [""]
    levels = len(source.layers) // len(sides)
    assert names_of(source.layers) == [f"encoder.l{k}{side}" for k in range(levels) for side in sides]
    x, states = golden["inputs"], list(zip(golden["initial_state/c"], golden["initial_state/h"]))
    c, h = [], []
    for level in range(levels):
        outputs = []
        for k in range(level * len(sides), (level + 1) * len(sides)):
            layer = source.layers[k]
            backward = layer.direction == "backward"
            result, ((last_c, last_h),) = plain_lstm.run([layer.weights], x, backward=backward, states=[states[k]])
            outputs.append(result)
            c.append(last_c)
            h.append(last_h)
        x = np.concatenate(outputs, axis=2)
    actual = {"outputs": x, "state/c": np.array(c), "state/h": np.array(h)}
    numeric.check_same(actual, {key: golden[key] for key in actual}, 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_template_keeps_all_else(case, suffix, tmp_path):
    template, path = os.path.join(PYTORCH, case + suffix), str(tmp_path / ("new" + suffix))
    source = checkpoints.read(template)
    new_layers = [f._replace(weights={n: 2 * array for n, array in f.weights.items()}) for f in source.layers]
    checkpoints.write(path, new_layers, template=template)
    reread = checkpoints.read(path)
    assert names_of(reread.layers) == names_of(source.layers) and list(reread.other_arrays) == list(source.other_arrays)
    assert all(files.same_bits(reread.other_arrays[name], source.other_arrays[name]) for name in source.other_arrays)
    for layer, reread_layer in zip(source.layers, reread.layers):
        assert all(np.array_equal(reread_layer.weights[name], 2 * layer.weights[name]) for name in layer.weights)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("scope", [None, "lstm."])
def test_a_new_state_dict(scope, use_bias, suffix, tmp_path):
    path, layers = str(tmp_path / ("new" + suffix)), float32_layers([4, 4], 3, use_bias=use_bias)
    checkpoints.write(path, layers, scope=scope)
    if suffix == ".npz":
        arrays = dict(np.load(path))
    else:
        import safetensors.numpy

        arrays = safetensors.numpy.load_file(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            assert file.metadata() == {"format": "pt"}  # Without it, some of PyTorch's libraries refuse the file.
    keys = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * use_bias
    assert set(arrays) == {f"{scope or ''}{key}_l{k}" for k in range(2) for key in keys}
    gate = arrays[(scope or "") + "weight_ih_l1"][8:12]  # input, forget, cell, output
    np.testing.assert_array_equal(gate, layers[1]["Wc"][4:].T)
    for layer, reread_layer in zip(layers, checkpoints.read(path).layers):
        assert set(layer) == set(reread_layer.weights) and all(
            files.same_bits(layer[name], reread_layer.weights[name]) for name in layer
        )


def test_names(tmp_path):
    """Modules come in the order of their names, layers by number; cells have no number; GRU and RNN are no LSTM."""
    arrays, like = {}, dict(np.load(os.path.join(PYTORCH, "stacked.npz")))
    suffixes = [f"_l{k}{side}" for k in range(11) for side in ("_reverse", "")]
    for prefix, ends in [("module.z.", suffixes), ("a.", [""]), ("", ["_l0"])]:
        for end in ends:
            arrays.update(
                (f"{prefix}{key}{end}", like[f"encoder.{key}_l1"])
                for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
    arrays.update({"gru.weight_ih_l0": np.zeros([12, 3], "f"), "gru.weight_hh_l0": np.zeros([12, 4], "f")})
    arrays.update({"rnn.weight_ih_l0": np.zeros([4, 3], "f"), "rnn.weight_hh_l0": np.zeros([4, 4], "f")})
    np.savez(str(tmp_path / "model.npz"), **arrays)
    source = checkpoints.read(str(tmp_path / "model.npz"))
    expected = [f"module.z.l{k}{side}" for k in range(11) for side in ("", "_reverse")]
    assert names_of(source.layers) == ["l0", "a.cell"] + expected
    assert [layer.network for layer in source.layers] == ["", "a."] + ["module.z."] * 22
    assert [layer.direction for layer in source.layers[2:4]] == ["forward", "backward"]
    assert len(source.other_arrays) == 4


def test_broken_files(suffix, tmp_path):
    path = tmp_path / ("model" + suffix)
    with open(os.path.join(PYTORCH, "stacked" + suffix), "rb") as file:
        whole = file.read()
    for part in (whole[: len(whole) // 2], whole[:4], b""):
        path.write_bytes(part)
        with pytest.raises(ValueError, match=f"checkpoints.read: expected .* in .*model.{suffix[1:]}, got "):
            checkpoints.read(str(path))
    with pytest.raises(ValueError, match=f"expected .*missing.{suffix[1:]}, got no such file$"):
        checkpoints.read(str(tmp_path / ("missing" + suffix)))


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
def test_shapes_that_do_not_fit(name, tmp_path):
    arrays = dict(np.load(os.path.join(PYTORCH, "stacked.npz")))
    arrays[f"encoder.{name}_l1"] = np.zeros([5, 2], np.float32)
    np.savez(str(tmp_path / "model.npz"), **arrays)
    with pytest.raises(ValueError, match=r"LSTM arrays in the layout pytorch for encoder.l1 in .* got .*\[5, 2\]"):
        checkpoints.read(str(tmp_path / "model.npz"))


class Pickled:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_is_unpickled(tmp_path):
    marker, path = str(tmp_path / "made"), str(tmp_path / "model.npz")
    np.savez(path, weight_ih_l0=np.array([Pickled(marker)], object))
    with pytest.raises(
        ValueError, match=r"expected arrays without pickles in .*got an error \(ValueError: Object arrays"
    ):
        checkpoints.read(path)
    assert not os.path.exists(marker)
    np.load(path, allow_pickle=True)["weight_ih_l0"].tolist()[0].close()
    assert os.path.exists(marker)  # Unpickling does make the file.


def test_a_failure_changes_nothing(suffix, tmp_path):
    path = str(tmp_path / ("model" + suffix))
    checkpoints.write(path, float32_layers([4], 3))
    before = folder(tmp_path)
    with pytest.raises(ValueError, match="layers` to have one width, as in an nn.LSTM, got the widths 4, 5$"):
        checkpoints.write(path, float32_layers([4, 5], 3), overwrite=True)
    with pytest.raises(ValueError, match="has peepholes, for which the layout 'pytorch' has no place"):
        source = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="lstm_peepholes/.*")
        checkpoints.write(path, source.layers, overwrite=True)
    assert folder(tmp_path) == before


@pytest.mark.parametrize("package, path", [("safetensors", "a.safetensors"), ("onnx", "a.onnx")])
def test_a_package_that_is_missing(package, path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # An import fails as if it were not installed.
    with pytest.raises(ValueError, match=f"{path} needs the package {package}: pip install {package}"):
        checkpoints.read(str(tmp_path / path))
    with pytest.raises(ValueError, match=f"{path} needs the package {package}: pip install {package}"):
        checkpoints.write(str(tmp_path / path), float32_layers([4], 3))
    assert folder(tmp_path) == {}


def test_modules_by_number_in_a_file_that_sorts_them_as_text(tmp_path, suffix):
    arrays, like = {}, dict(np.load(os.path.join(PYTORCH, "stacked.npz")))
    for k in range(11):
        for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            arrays[f"rnns.{k}.{key}_l0"] = like[f"encoder.{key}_l1"]
    path = str(tmp_path / ("model" + suffix))
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        import safetensors.numpy

        safetensors.numpy.save_file(arrays, path)
    assert names_of(checkpoints.read(path).layers) == [f"rnns.{k}.l0" for k in range(11)]


@pytest.mark.parametrize(
    "left_out, message",
    [
        ("_l1", "without gaps in their numbers in .*, or `names` to select layers, got no l1"),
        ("_l0", "without gaps in their numbers in .*, or `names` to select layers, got no l0"),
        ("weight_ih_l1", "LSTM arrays .* for l1 in .* got no weight_ih_l1, "),
        ("weight_hh_l1", "LSTM arrays .* for l1 in .*, no weight_hh_l1, "),
    ],
)
def test_layers_that_are_missing(left_out, message, tmp_path):
    like = dict(np.load(os.path.join(PYTORCH, "stacked.npz")))
    keys = [f"{key}_l{k}" for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") for k in range(3)]
    path = str(tmp_path / "model.npz")
    np.savez(path, **{key: like[f"encoder.{key[:-3]}_l1"] for key in keys if left_out not in key})
    with pytest.raises(ValueError, match="checkpoints.read: expected .*" + message):
        checkpoints.read(path)
    assert names_of(checkpoints.read(path, names="l2").layers) == ["l2"]


def test_a_prefix_ends_in_a_point(suffix, tmp_path):
    with pytest.raises(ValueError, match="expected `scope` to be a prefix .*, which ends in .*, got 'lstm'"):
        checkpoints.write(str(tmp_path / ("new" + suffix)), float32_layers([4], 3), scope="lstm")
    assert folder(tmp_path) == {}


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "model.pkl", "last.ckpt", "zip.ckpt"])
@pytest.mark.parametrize("exists", [True, False])
def test_pickles_are_refused(name, exists, tmp_path):
    """The message has the recipe. A file is known by its first bytes, too."""
    if not exists and name.endswith(".ckpt"):
        return
    if exists:
        (tmp_path / name).write_bytes(b"PK\3\4..." if "zip" in name else pickle.dumps({"a": 1}))
    base = name.split(".")[0]
    recipe = rf"safetensors.torch.save_file\(model.state_dict\(\), '.*{base}.safetensors'\)"
    with pytest.raises(
        ValueError, match="checkpoints.read: expected a file without pickles, .*" + recipe + ", got .*" + name
    ):
        checkpoints.read(tmp_path / name)
    if not name.endswith(".ckpt"):
        with pytest.raises(ValueError, match="checkpoints.write: expected a file without pickles, .*" + recipe):
            checkpoints.write(tmp_path / name, plain_lstm.float32_layers([4], 3), "pytorch")


def test_a_checkpoint_with_the_name_of_a_pickle(tmp_path):
    checkpoints.write(tmp_path / "model.bin", plain_lstm.float32_layers([4], 3), "stacked_lstm")
    assert len(checkpoints.read(tmp_path / "model.bin").layers) == 1


ONE = {"weight_ih_l0": np.ones([16, 3], np.float32), "weight_hh_l0": np.ones([16, 4], np.float32)}


@pytest.mark.parametrize(
    "others, text",
    [
        (["lstm.weight_hh_l0_raw"], "with lstm.weight_hh_l0_raw, which an nn.LSTM does not have"),
        (["lstm.weight_hh_l0_g", "lstm.weight_hh_l0_v"], "with lstm.weight_hh_l0_g, lstm.weight_hh_l0_v, which"),
        (
            ["lstm.layernorm_i.weight", "lstm.layernorm_h.weight"],
            "with lstm.layernorm_h.weight, lstm.layernorm_i.weight",
        ),
        (["lstm.w_f_diag"], "with lstm.w_f_diag, which"),
        ([f"lstm.norm{k}" for k in range(9)], r"with lstm.norm0, lstm.norm1, lstm.norm2, ..., which"),
        (["lstm.h0"], "with lstm.h0, which"),
    ],
)
@pytest.mark.parametrize("prefix", ["lstm.", "encoder.lstm."])
def test_what_surrounds_the_weights(others, text, prefix, tmp_path):
    """Normalisation, weight dropout, peepholes and the like in a module must not be dropped without a word."""
    arrays = {prefix + name: array for name, array in ONE.items()}
    arrays.update({name.replace("lstm.", prefix): np.ones(3) for name in others})
    np.savez(str(tmp_path / "model.npz"), **arrays)
    with pytest.raises(ValueError, match="expected plain LSTM layers in .* got .*" + text.replace("lstm.", prefix)):
        checkpoints.read(tmp_path / "model.npz")
    assert len(checkpoints.read(tmp_path / "model.npz", names=".*l0").layers) == 1


@pytest.mark.parametrize("name, is_plain", [("head.weight", True), ("weight_hh_l0_raw", False), ("weight_g", True)])
def test_what_surrounds_a_module_without_a_name(name, is_plain, tmp_path):
    np.savez(str(tmp_path / "model.npz"), **dict(ONE, **{name: np.ones(3)}))
    if is_plain:
        assert checkpoints.read(tmp_path / "model.npz").layers[0].remark == ""
    else:
        with pytest.raises(ValueError, match=f"got .*with {name}, which an nn.LSTM does not have"):
            checkpoints.read(tmp_path / "model.npz")


def test_real_weight_normalisation(tmp_path):
    """PyTorch's own parametrization has no matrix of the usual name at all."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.Module()
    module.lstm = torch.nn.LSTM(3, 4)
    torch.nn.utils.parametrizations.weight_norm(module.lstm, "weight_hh_l0")
    np.savez(str(tmp_path / "model.npz"), **{name: value.numpy() for name, value in module.state_dict().items()})
    with pytest.raises(ValueError, match="no lstm.weight_hh_l0,.*; with lstm.parametrizations.weight_hh_l0.original0"):
        checkpoints.read(tmp_path / "model.npz")
