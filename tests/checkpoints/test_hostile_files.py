"""Files from strangers: no other file of the machine is read, and little memory and time are enough to refuse them."""

import io
import json
import os
import time
import zipfile

import h5py
import numpy as np
import pytest

from stacked_lstm import checkpoints, layouts
from support.files.checkpoint_files import cell, saved
from support.references import plain_lstm
from support.suite.sets import ONCE

KEYS = ("kernel", "recurrent_kernel", "bias")
LAYER = plain_lstm.float32_layers([4], 3)[0]
ARRAYS = layouts.pack(LAYER, "keras")  # [3, 16], [4, 16], [16]


def written_h5(path, fill):
    """An HDF5 file with two sound arrays of an LSTM; `fill(group)` adds the kernel. Also inside a .keras file."""
    data = io.BytesIO()
    with h5py.File(data if str(path).endswith(".keras") else str(path), "w") as hdf5:
        group = hdf5.create_group("layers/lstm/cell/vars")
        fill(group)
        group["1"], group["2"] = ARRAYS["recurrent_kernel"], ARRAYS["bias"]
    if str(path).endswith(".keras"):
        with zipfile.ZipFile(str(path), "w") as archive:
            config = {"config": {"layers": [{"class_name": "LSTM", "config": {"name": "lstm"}}]}}
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", data.getvalue())


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"s" * 256)
    with h5py.File(str(tmp_path / "other.h5"), "w") as hdf5:
        hdf5["kernel"] = np.ones([3, 16], np.float32)
    os.mkfifo(str(tmp_path / "fifo"))
    return path


def external(name):
    return lambda folder: (
        lambda group: group.create_dataset("0", [3, 16], "float32", external=[(str(folder / name), 0, 192)])
    )


def virtual(unlimited):
    def fill_in(folder):
        def fill(group):
            layout = h5py.VirtualLayout((3, 16), "float32", maxshape=(None, 16) if unlimited else None)
            source = h5py.VirtualSource(str(folder / "other.h5"), "kernel", (3, 16), "float32")
            layout[:3] = source
            group.create_virtual_dataset("0", layout)

        return fill

    return fill_in


def link(group_too):
    def fill_in(folder):
        def fill(group):
            target = h5py.ExternalLink(str(folder / "other.h5"), "/" if group_too else "kernel")
            group["0" if not group_too else "outside"] = target
            if group_too:  # A soft link that leads out through the external one.
                group["0"] = h5py.SoftLink("outside/kernel")

        return fill

    return fill_in


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".hdf5", ".keras"])
@pytest.mark.parametrize(
    "kind, text",
    [
        (external("secret"), "whose numbers are in another file"),
        (external("fifo"), "whose numbers are in another file"),
        (virtual(False), "whose numbers are in another file"),
        (virtual(True), "whose numbers are in another file"),
        (link(False), "which is a link to another file"),
        (link(True), "which is a link to another file"),
    ],
    ids=["external", "fifo", "virtual", "unlimited virtual", "link", "links"],
)
def test_a_keras_file_that_refers_to_others(kind, text, suffix, secret, tmp_path):
    """It is refused when it is read and as a template."""
    path = tmp_path / ("model" + suffix)
    written_h5(path, kind(tmp_path))
    for read in (
        checkpoints.read,
        lambda path: checkpoints.write(tmp_path / ("new" + suffix), [LAYER], template=path),
    ):
        with pytest.raises(ValueError, match=f"expected a Keras file in .*{path.name}, got .*{text}"):
            read(path)


def test_soft_links_within_a_file(tmp_path):
    """They are other names of arrays that are read anyway."""

    def fill(group):
        group["0"] = ARRAYS["kernel"]
        group["again"] = h5py.SoftLink("0")

    written_h5(tmp_path / "model.weights.h5", fill)
    (layer,) = checkpoints.read(tmp_path / "model.weights.h5").layers
    np.testing.assert_array_equal(layer.arrays["kernel"], ARRAYS["kernel"])


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".npz", ".safetensors", ".onnx", ".ckpt", ".ckpt.index"])
def test_a_fifo_does_not_hang(suffix, tmp_path):
    for package in {".safetensors": ["safetensors"], ".onnx": ["onnx"]}.get(suffix, []):
        pytest.importorskip(package, reason=f"{package} is not installed")
    os.mkfifo(str(tmp_path / ("model" + suffix)))
    with pytest.raises(ValueError, match="model.*, got an error .*model.* is no regular file"):
        checkpoints.read(tmp_path / ("model" + suffix.replace(".index", "")))


def declare(group):
    group.create_dataset("0", [2**31, 2], "float32", chunks=(2**20, 2))  # No chunk is written, all are zeros.


def zipped_zeros(path, count):
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in [f"weight_{part}_l0.npy" for part in ("ih", "hh")]:
            data = io.BytesIO()
            np.save(data, np.zeros([4 * count, count], np.float32))
            archive.writestr(name, data.getvalue())


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_arrays_that_are_declared_only(suffix, tmp_path):
    path = tmp_path / ("model" + suffix)
    written_h5(path, declare)
    assert path.stat().st_size < 100000
    with pytest.raises(
        ValueError,
        match="expected arrays of at most 268435456 bytes .*, or a larger `max_bytes`, got more with layers/",
    ):
        checkpoints.read(path)


@ONCE
def test_zip_bombs(tmp_path):
    """A compressed archive of ordinary size is read, a bomb only if it is allowed."""
    zipped_zeros(tmp_path / "small.npz", 300)
    assert len(checkpoints.read(tmp_path / "small.npz").layers) == 1
    zipped_zeros(tmp_path / "bomb.npz", 3200)  # 328 MB
    assert (tmp_path / "bomb.npz").stat().st_size < 2**20
    with pytest.raises(ValueError, match="at most 268435456 bytes .* a larger `max_bytes`, got more with weight_hh"):
        checkpoints.read(tmp_path / "bomb.npz")
    assert checkpoints.read(tmp_path / "bomb.npz", max_bytes=2**29).layers[0].sizes.hidden_size == 3200
    with zipfile.ZipFile(str(tmp_path / "bomb.keras"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (2**28 + 1))
    with pytest.raises(ValueError, match="expected arrays of at most .* got more with config.json"):
        checkpoints.read(tmp_path / "bomb.keras")
    for wrong in (0, -1, 1.5, "1"):
        with pytest.raises(ValueError, match="expected `max_bytes` to be a positive integer, got "):
            checkpoints.read(tmp_path / "small.npz", max_bytes=wrong)
    with pytest.raises(ValueError, match="at most 1000 bytes"):
        checkpoints.read(tmp_path / "small.npz", max_bytes=1000)


@pytest.mark.parametrize("name, format", [("model.h5", "keras"), ("model.npz", "pytorch"), ("own.npz", "stacked_lstm"),
                                          ("model.safetensors", "pytorch"), ("model.onnx", "onnx"),
                                          ("model.ckpt", "rnn_cell")])  # fmt: skip
def test_all_formats_have_a_budget(name, format, tmp_path):
    """The arrays of the layer take 512 bytes."""
    for package in {"model.safetensors": ["safetensors"], "model.onnx": ["onnx"]}.get(name, []):
        pytest.importorskip(package, reason=f"{package} is not installed")
    path = str(tmp_path / name)
    checkpoints.write(path, [LAYER], format)
    with pytest.raises(
        ValueError, match="expected arrays of at most 400 bytes together in .*, or a larger `max_bytes`"
    ):
        checkpoints.read(path, max_bytes=400)
    assert len(checkpoints.read(path, max_bytes=4000).layers) == 1


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".ckpt"])
@pytest.mark.parametrize("number", ["1000000000", "9" * 300, "00000000000000000000000000007"])
def test_a_number_as_a_bomb(suffix, number, tmp_path):
    """A layer's number says nothing about how many there are."""
    path, start = tmp_path / ("model" + suffix), time.time()
    if suffix == ".ckpt":
        saved(path, cell(f"rnn/cell_{number}/lstm_cell"))
        expected = "no rnn/cell_0, rnn/cell_1"
    else:
        arrays = {f"l.{key}_l{number}": array for key, array in layouts.pack(LAYER, "pytorch").items()}
        expected = "no l.l0, l.l1, l.l2, l.l3, l.l4"
        if suffix == ".npz":
            np.savez(str(path), **arrays)
        else:
            safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
            safetensors.save_file(arrays, str(path))
    with pytest.raises(ValueError, match="without gaps in their numbers in .* got " + expected):
        checkpoints.read(path)
    assert len(checkpoints.read(path, names=".*").layers) == 1 and time.time() - start < 5


def test_long_names(tmp_path):
    np.savez(str(tmp_path / "model.npz"), **{"weight_ih_l0" + "_" * 2000: np.zeros(3)})
    with pytest.raises(ValueError, match=r"expected names of at most 1000 characters in .* got weight_ih_.* of 2012"):
        checkpoints.read(tmp_path / "model.npz")


def test_deep_groups(tmp_path):
    with h5py.File(str(tmp_path / "model.h5"), "w") as hdf5:
        group = hdf5
        for _ in range(20000):
            group = group.create_group("a")
    start = time.time()
    with pytest.raises(
        ValueError, match="expected a Keras file in .* got an error .ValueError: groups more than 64 deep"
    ):
        checkpoints.read(tmp_path / "model.h5")
    assert time.time() - start < 5


def test_groups_that_lead_to_each_other(tmp_path):
    """Each is visited once, although there are 2^40 paths."""

    def fill(group):
        group["0"] = ARRAYS["kernel"]
        below = group
        for k in range(40):
            above = group.file.create_group(f"z{k}")
            above["a"], above["b"] = below, below
            below = above
        group["cycle"] = below

    written_h5(tmp_path / "model.weights.h5", fill)
    (layer,) = checkpoints.read(tmp_path / "model.weights.h5").layers
    np.testing.assert_array_equal(layer.arrays["kernel"], ARRAYS["kernel"])


@pytest.mark.parametrize("kind", ["Bidirectional", "RNN", "Sequential", "brackets"])
def test_deep_configs(kind, tmp_path):
    """A config of a few kilobytes does not take exponential time."""
    text = "[" * 100000 if kind == "brackets" else ""
    if not text:
        start, end = f'{{"class_name": "{kind}", "config": {{"name": "x", ', "}}"
        start += {"Bidirectional": '"layer": ', "RNN": '"cell": ', "Sequential": '"layers": ['}[kind]
        end = "]" * (kind == "Sequential") + end
        depth = 300
        text = '{"config": {"layers": [' + start * depth + '{"class_name": "LSTM", "config": {}}' + end * depth + "]}}"
    path = tmp_path / "model.keras"
    written_h5(path, lambda group: group.create_dataset("0", data=ARRAYS["kernel"]))
    with zipfile.ZipFile(str(path)) as archive:
        data = archive.read("model.weights.h5")
    with zipfile.ZipFile(str(path), "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", data)
    start = time.time()
    with pytest.raises(
        ValueError,
        match="expected a Keras file in .* got an error .(ValueError: a config with layers in|RecursionError)",
    ):
        checkpoints.read(path)
    assert time.time() - start < 5


def test_long_chains_of_nodes(tmp_path):
    """An ONNX model of many nodes takes time in proportion to them, and doubling does not take memory without end."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from support.files.onnx_files import model_of

    def chain(op, count, **options):
        names = ["W"] + [f"c{k}" for k in range(count)]
        return names[-1], [
            onnx.helper.make_node(op, [a] * (2 if op == "Concat" else 1), [b], **options)
            for a, b in zip(names, names[1:])
        ]

    for (name, nodes), text in [
        (chain("Identity", 20000), None),
        (chain("Concat", 60, axis=1), "expected arrays of at most 268435456 bytes"),
    ]:
        model = model_of([LAYER], extra=nodes)
        next(node for node in model.graph.node if node.op_type == "LSTM").input[1] = name
        onnx.save(model, str(tmp_path / "model.onnx"))
        start = time.time()
        if text:
            with pytest.raises(ValueError, match=text):
                checkpoints.read(tmp_path / "model.onnx")
        else:
            assert len(checkpoints.read(tmp_path / "model.onnx").layers) == 1
        assert time.time() - start < 10


def legacy(path, layer_names, weight_names):
    """A .h5 file with the layers a, b and c, and attributes that list some of them."""
    with h5py.File(str(path), "w") as hdf5:
        for name in "abc":
            for key in KEYS:
                hdf5[f"{name}/{name}/{key}:0"] = ARRAYS[key]
        hdf5.attrs["layer_names"] = np.array(layer_names, "S")
        for name in "abc":
            listed = [f"{name}/{key}:0" for key in KEYS]
            hdf5[name].attrs["weight_names"] = np.array(weight_names.get(name, listed), "S")


@pytest.mark.parametrize(
    "layer_names, weight_names, text",
    [
        (["c", "a"], {}, "attributes layer_names and weight_names that do not list b/b, so no order"),
        (["c", "b", "a"], {"b": []}, "do not list b/b"),
        (["c", "b", "a"], {"b": ["b/kernel:0", "b/no:0"]}, "weight_names that list b/b/no:0, which is not in the file"),
        (["c", "b", "a", "no"], {}, "KeyError"),
    ],
)
def test_attributes_that_do_not_list_every_layer(layer_names, weight_names, text, tmp_path):
    """Their order would be a guess."""
    legacy(tmp_path / "model.h5", layer_names, weight_names)
    with pytest.raises(ValueError, match=f"checkpoints.read: expected .* in .*model.h5, got .*{text}"):
        checkpoints.read(tmp_path / "model.h5")
    legacy(tmp_path / "model.h5", ["c", "b", "a"], {})
    assert [layer.name for layer in checkpoints.read(tmp_path / "model.h5").layers] == ["c/c", "b/b", "a/a"]
