"""Files with a few changed bytes: `read` returns layers or raises the ValueError that names the file."""

import os
import re
import shutil

import numpy as np
import pytest

from stacked_lstm import checkpoints
from support.files.checkpoint_files import GOLDEN

FOLDER = os.path.dirname(GOLDEN)
FILES = [
    "pytorch/stacked.npz",
    "pytorch/stacked.safetensors",
    "pytorch/stacked_torchscript.onnx",
    "keras_3/stacked.keras",
    "keras_3/stacked.h5",
    "tf_keras/stacked.weights.h5",
]
NEEDS = {"onnx": "onnx", "safetensors": "safetensors"}


@pytest.mark.parametrize("name", FILES)
def test_changed_bytes(name, tmp_path):
    suffix = name.split(".", 1)[1]
    pytest.importorskip(NEEDS.get(suffix, "numpy"), reason=f"the package for .{suffix} files is not installed")
    with open(os.path.join(FOLDER, name), "rb") as file:
        whole = file.read()
    random, path, errors = np.random.RandomState(0), tmp_path / ("model." + suffix), 0
    for k in range(100):
        data = bytearray(whole)
        for place in random.randint([len(data), min(len(data), 2500)][k % 2], size=random.choice([1, 2, 5])):
            data[place] = random.randint(256)
        path.write_bytes(bytes(data[: random.randint(len(data))] if k % 4 == 0 else data))
        try:
            checkpoints.read(str(path))
        except ValueError as error:
            assert str(error).startswith("checkpoints.read: expected ") and str(path) in str(error)
            errors += 1
    assert errors >= 25  # A quarter of the files are cut off.


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
def test_changed_bytes_of_a_checkpoint(part, tmp_path):
    for end in (".index", ".data-00000-of-00001"):
        shutil.copy(os.path.join(GOLDEN, "program.ckpt" + end), str(tmp_path / ("model.ckpt" + end)))
    file, random, errors = tmp_path / ("model.ckpt" + part), np.random.RandomState(0), 0
    whole = file.read_bytes()
    for _ in range(30):
        data = bytearray(whole)
        data[random.randint(len(data))] ^= 1 + random.randint(255)
        file.write_bytes(bytes(data))
        try:
            checkpoints.read(str(tmp_path / "model.ckpt"))
        except ValueError as error:
            assert str(error).startswith("checkpoints.read: expected ") and "model.ckpt" in str(error)
            errors += 1
    assert errors >= 25  # There are checksums.


@pytest.mark.parametrize("content", [b"", b"no index" * 20])
@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index"])
def test_no_index_of_a_checkpoint(name, content, tmp_path):
    """TensorFlow's own text speaks of an sstable, and of the table file that it could not open."""
    (tmp_path / "model.ckpt.index").write_bytes(content)
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(content)
    path = re.escape(str(tmp_path / name))
    reason = "(file is too short to be|not) the index of a checkpoint"
    with pytest.raises(ValueError, match=rf"expected a TensorFlow checkpoint in {path}, got an error \(\w+: {reason}"):
        checkpoints.read(str(tmp_path / name))


def test_a_folder_without_its_checkpoint(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gone.ckpt"')
    with pytest.raises(ValueError, match="ValueError: a folder whose file `checkpoint` names no checkpoint"):
        checkpoints.read(str(tmp_path))
