"""A process that reads and writes files imports TensorFlow only for TensorFlow checkpoints."""

import os
import subprocess
import sys

import pytest

from support.files.checkpoint_files import GOLDEN, cell, saved

FOLDER = os.path.dirname(GOLDEN)
PROGRAM = """
import sys
from stacked_lstm import checkpoints
heavy = lambda: sorted({"tensorflow", "h5py", "onnx", "safetensors"} & set(sys.modules))
before = heavy()
source, target = sys.argv[1:3]
checkpoints.write(target, checkpoints.read(source).layers)
print(before, len(checkpoints.read(target).layers), heavy())
"""


def printed_by(*arguments):
    result = subprocess.run([sys.executable, "-c", PROGRAM] + list(arguments), capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


@pytest.mark.parametrize("suffix, package", [(".onnx", "onnx"), (".safetensors", "safetensors"), (".h5", "h5py")])
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_file_needs_only_the_library_of_its_format(suffix, package, way, tmp_path):
    pytest.importorskip(package, reason=f"{package} is not installed (the extra `test` brings it)")
    source, target = os.path.join(FOLDER, "pytorch", "stacked.npz"), str(tmp_path / ("model" + suffix))
    if way == "back":
        name = "keras_3/no_bias.h5" if suffix == ".h5" else "pytorch/no_bias.safetensors"
        source = os.path.join(FOLDER, "pytorch/stacked_torchscript.onnx" if suffix == ".onnx" else name)
        target = str(tmp_path / "model.weights.h5")
    packages = sorted({package} | ({"h5py"} if way == "back" else set()))
    assert printed_by(source, target) == f"[] 2 {packages}"


def test_a_tensorflow_checkpoint_needs_tensorflow(tmp_path):
    path = saved(tmp_path / "model.ckpt", cell("rnn/lstm_cell"))
    assert "'tensorflow'" in printed_by(path, str(tmp_path / "model.npz"))
