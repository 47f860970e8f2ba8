"""Files of tf-keras and Keras 3: read, used as templates, and written so that Keras itself loads them."""

import glob
import os

import h5py
import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.compat import tf
from support.files.checkpoint_files import GOLDEN, folder, names_of
from support.files.hdf5_files import LIBRARIES, group, write_file
from support.processes import programs
from support.references import keras_files_witness as witness
from support.references import numeric, plain_lstm

MODELS = ("stacked", "no_bias", "bidirectional")
FILES = sorted(
    path
    for library in LIBRARIES
    for suffix in ("h5", "keras")
    for path in glob.glob(os.path.join(os.path.dirname(GOLDEN), library, "*." + suffix))
)
SHORT = ["/".join(path.split(os.sep)[-2:]) for path in FILES]


def golden_arrays(library, model):
    archive = np.load(os.path.join(os.path.dirname(GOLDEN), library, "network.npz"))
    return {key[len(model) + 1 :]: archive[key] for key in archive.files if key.startswith(model + "/")}


def model_of(path):
    return [m for m in MODELS if os.path.basename(path).startswith(m)][0]


def separate_layers(shapes, use_bias=True):
    """A random layer for each (I, H)."""
    return [
        plain_lstm.float32_layers([units], size, seed, use_bias=use_bias, scale=0.5)[0]
        for seed, (size, units) in enumerate(shapes)
    ]


def test_there_are_golden_files():
    suffixes = [".h5", ".keras", ".weights.h5"]
    expected = {f"{lib}/{m}{s}" for lib in LIBRARIES for m in MODELS for s in suffixes}
    assert expected | {f"tf_keras/{model}_weights.h5" for model in MODELS} == set(SHORT)


@pytest.mark.parametrize("path", FILES, ids=SHORT)
def test_what_keras_computed(path):
    """Each layer computes the outputs and final states of Keras; its weights are the same bits."""
    golden = golden_arrays(os.path.basename(os.path.dirname(path)), model_of(path))
    actual = checkpoints.read(path).layers
    is_bidirectional = model_of(path) == "bidirectional"
    assert [layer.direction for layer in actual] == (
        ["forward", "backward"] * is_bidirectional + ["forward"] * (2 - is_bidirectional)
    )
    names = ["bidirectional", "bidirectional", "lstm_1"] if is_bidirectional else ["lstm", "lstm_1"]
    results_by_name = {}
    for layer, name in zip(actual, names):
        result = plain_lstm.run([layer.weights], golden[name + "/inputs"], backward=layer.direction == "backward")
        results_by_name.setdefault(name, []).append(result)
        offset = len(layer.arrays) * (layer.direction == "backward")
        for k, array in enumerate(layer.arrays.values()):
            assert files.same_bits(array, golden[f"{name}/weights/{k + offset}"])
    for name, sides in results_by_name.items():
        results = {"outputs": np.concatenate([outputs for outputs, _ in sides], axis=2)}
        for k, (_, ((c, h),)) in enumerate(sides):
            results.update({f"state/{2 * k}": h, f"state/{2 * k + 1}": c})
        numeric.check_same(results, {key: golden[f"{name}/{key}"] for key in results}, 1e-6)


def expected_outputs(library, path, layers):
    """The inputs of a golden model, and its outputs with other LSTM layers."""
    golden = golden_arrays(library, model_of(path))
    x = np.tanh(golden["inputs"] @ golden["dense/weights/0"] + golden["dense/weights/1"])
    sides = [plain_lstm.run([layers[0]], x)[0]]
    if model_of(path) == "bidirectional":
        sides.append(plain_lstm.run([layers[1]], x, backward=True)[0])
    y, _ = plain_lstm.run([layers[-1]], np.concatenate(sides, axis=2))
    return golden["inputs"], y @ golden["dense_1/weights/0"] + golden["dense_1/weights/1"]


@pytest.mark.skipif(
    tf.__version__.startswith("1."), reason="TensorFlow 1.15 can have neither tf-keras nor Keras 3 to load the files"
)
@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_keras_loads_what_was_written(library, tmp_path):
    """The files are new, or copies of the golden files with other LSTM layers."""
    inputs, expected = {}, {}
    x = np.random.RandomState(0).standard_normal([2, 6, 3]).astype(np.float32)
    for name in ("plain.weights.h5", "plain.h5", "unbiased.weights.h5", "unbiased.h5"):
        layers = separate_layers([(3, 4), (4, 5)], name.startswith("plain"))
        checkpoints.write(str(tmp_path / name), layers)
        inputs[name], expected[name] = x, plain_lstm.run(layers, x)[0]
    for path in FILES:
        if os.path.basename(os.path.dirname(path)) == library:
            name, source = os.path.basename(path), checkpoints.read(path)
            layers = separate_layers([f.sizes[:2] for f in source.layers], "no_bias" not in name)
            new_layers = [layer._replace(weights=weights) for layer, weights in zip(source.layers, layers)]
            checkpoints.write(str(tmp_path / name), new_layers, template=path)
            reread = checkpoints.read(str(tmp_path / name))
            assert all(
                files.same_bits(reread.other_arrays[key], source.other_arrays[key]) for key in source.other_arrays
            )
            inputs[name], expected[name] = expected_outputs(library, path, layers)
    np.savez(str(tmp_path / "inputs.npz"), **inputs)
    programs.check([witness.__file__, LIBRARIES[library], tmp_path])
    assert len(expected) == 4 + (12 if library == "tf_keras" else 9)
    numeric.check_same(dict(np.load(str(tmp_path / "outputs.npz"))), expected, 1e-6)


def test_layers_of_several_classes_are_in_the_order_of_writing(tmp_path):
    scopes = ["lstm/cell", "bidirectional/backward_layer/cell", "bidirectional/forward_layer/cell"]
    scopes += ["another/cell"] + [f"lstm_{k}/cell" for k in range(1, 11)]
    arrays = {}
    for scope in scopes:
        arrays.update(group(f"layers/{scope}/vars"))
    arrays["layers/another/cell/vars/0"] = np.zeros([3, 12])  # Of a GRU.
    arrays["layers/another/cell/vars/1"] = np.zeros([4, 12])
    arrays["layers/another/cell/vars/2"] = np.zeros([2, 12])
    actual = checkpoints.read(write_file(tmp_path / "model.weights.h5", arrays)).layers
    assert all(layer.remark.startswith("no config: assumed to have tanh and sigmoid") for layer in actual)
    order = [scopes[0], scopes[2], scopes[1]] + scopes[4:]
    assert names_of(actual) == [f"layers/{scope}/vars" for scope in order]
    assert [layer.direction for layer in actual] == ["forward"] * 2 + ["backward"] + ["forward"] * 10


def test_a_legacy_file_lists_its_layers_in_order(tmp_path):
    keys, arrays = ("kernel:0", "recurrent_kernel:0", "bias:0"), {}
    for name in ("b", "a", "c"):
        arrays.update(group(f"model_weights/{name}/{name}", names=keys))
    path = write_file(tmp_path / "model.h5", arrays)
    assert names_of(checkpoints.read(path).layers) == [f"model_weights/{n}/{n}" for n in "bac"]
    with h5py.File(path, "r+") as hdf5:
        hdf5["model_weights"].attrs["layer_names"] = np.array(["c", "a", "b"], "S")
        for name in "abc":
            hdf5["model_weights"][name].attrs["weight_names"] = np.array([f"{name}/{key}" for key in keys], "S")
    assert names_of(checkpoints.read(path).layers) == [f"model_weights/{n}/{n}" for n in "cab"]


@pytest.mark.parametrize("name", ["model.hdf5", "model.hd5", "model.keras.h5"])
def test_other_names_of_hdf5_files(name, tmp_path):
    """A golden file is read under each name, and a new file is written."""
    with open(os.path.join(os.path.dirname(GOLDEN), "tf_keras", "stacked.h5"), "rb") as file:
        (tmp_path / name).write_bytes(file.read())
    layers = checkpoints.read(tmp_path / name).layers
    checkpoints.write(tmp_path / ("new_" + name), layers)
    reread = checkpoints.read(tmp_path / ("new_" + name)).layers
    for layer, other in zip(layers, reread):
        assert all(files.same_bits(layer.weights[key], other.weights[key]) for key in layer.weights)


def test_an_hdf5_file_without_its_suffix(tmp_path):
    write_file(tmp_path / "weights.best", group("layers/lstm/cell/vars"))
    with pytest.raises(ValueError, match="expected the name of an HDF5 file to end in .h5, .hdf5 or .hd5, got .*best"):
        checkpoints.read(tmp_path / "weights.best")


def test_cudnn_lstm(tmp_path):
    """CuDNNLSTM has two biases that add. A file of TensorFlow 1.15 is read, and used as a template."""
    path = os.path.join(GOLDEN, "cudnn_lstm.h5")
    golden = np.load(os.path.join(GOLDEN, "cudnn_lstm.npz"))
    source = checkpoints.read(path)
    assert [layer.layout for layer in source.layers] == ["keras_cudnn"] * 2
    outputs, _ = plain_lstm.run([layer.weights for layer in source.layers], golden["inputs"])
    numeric.check_same({"outputs": outputs}, {"outputs": golden["outputs"]}, 1e-6)
    checkpoints.write(str(tmp_path / "new.h5"), source.layers, template=path)
    reread = checkpoints.read(str(tmp_path / "new.h5")).layers
    for layer, reread_layer in zip(source.layers, reread):
        assert all(
            files.same_bits(layer.arrays[name], reread_layer.arrays[name]) for name in ("kernel", "recurrent_kernel")
        )
        first, second = np.split(reread_layer.arrays["bias"], 2)
        np.testing.assert_array_equal(first, np.sum(np.split(layer.arrays["bias"], 2), axis=0))
        assert not np.any(second)


def test_broken_files(tmp_path):
    for path in FILES[:4]:
        with open(path, "rb") as file:
            whole = file.read()
        copy = tmp_path / os.path.basename(path)
        copy.write_bytes(whole[: len(whole) // 3])
        with pytest.raises(ValueError, match=f"checkpoints.read: expected a Keras file in .*{copy.name}, got "):
            checkpoints.read(str(copy))
    with pytest.raises(ValueError, match="expected a Keras file in .*missing.h5, got no such file$"):
        checkpoints.read(str(tmp_path / "missing.h5"))
    arrays = group("layers/lstm/cell/vars")
    arrays["layers/lstm/cell/vars/2"] = np.zeros([12], np.float32)
    with pytest.raises(
        ValueError, match=r"LSTM arrays in the layout keras for layers/lstm/cell/vars in .* got .*vars/2 float32 \[12\]"
    ):
        checkpoints.read(write_file(tmp_path / "shapes.weights.h5", arrays))
    with pytest.raises(ValueError, match="expected LSTM layers in .*gru.weights.h5, got none"):
        checkpoints.read(write_file(tmp_path / "gru.weights.h5", {"layers/gru/cell/vars/0": np.zeros([3, 12])}))


def test_a_template_in_which_one_layer_has_biases(tmp_path):
    path, arrays = str(tmp_path / "model.weights.h5"), group("layers/lstm/cell/vars", (3, 4))
    del arrays["layers/lstm/cell/vars/2"]
    write_file(path, dict(arrays, **group("layers/lstm_1/cell/vars", (4, 4))))
    source = checkpoints.read(path).layers
    assert ["bf" in layer.weights for layer in source] == [False, True]
    checkpoints.write(str(tmp_path / "same.weights.h5"), source, template=path)
    assert ["bf" in layer.weights for layer in checkpoints.read(str(tmp_path / "same.weights.h5")).layers] == [
        False,
        True,
    ]
    with pytest.raises(ValueError, match="expected arrays for layers/lstm/cell/vars of"):
        checkpoints.write(str(tmp_path / "no.weights.h5"), source[::-1], template=path)


def test_a_failure_changes_nothing(tmp_path):
    path = write_file(tmp_path / "model.weights.h5", group("layers/lstm/cell/vars"))
    write_file(tmp_path / "model.h5", group("lstm/lstm", names=("kernel", "recurrent_kernel", "bias")))
    before, layers = folder(tmp_path), separate_layers([(3, 4)])
    doubled = [{name: array.astype(np.float64) for name, array in layers[0].items()}]
    bfloat16 = [{name: array.astype(tf.bfloat16.as_numpy_dtype) for name, array in layers[0].items()}]
    for arguments, message in [
        (
            dict(path=path, layers=separate_layers([(5, 4)]), template=path),
            r"kernel float32 \[3, 16\], got kernel float32 \[5, 16\]$",
        ),
        (dict(path=path, layers=doubled, template=path), r"kernel float32 \[3, 16\].*got .*kernel float64 \[3, 16\]"),
        (dict(path=path, layers=bfloat16), "float16, float32 or float64 in a Keras file, got .*bfloat16"),
        (dict(path=path, layers=layers, scope="mine"), "no `scope` for a Keras file"),
        (
            dict(path=path, layers=layers, template=str(tmp_path / "model.h5")),
            "`template` to have the suffix .weights.h5 of .*, got .*model.h5",
        ),
        (
            dict(path=str(tmp_path / "new.keras"), layers=layers),
            "`template` to be an existing .keras file, because .*new.keras must contain a whole model",
        ),
    ]:
        with pytest.raises(ValueError, match="checkpoints.write: expected .*" + message):
            checkpoints.write(overwrite=True, **arguments)
        assert folder(tmp_path) == before
