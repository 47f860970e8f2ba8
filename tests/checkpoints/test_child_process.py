"""Files from strangers, read in a child process: the same results and errors, and its death is one ValueError."""

import os
import sys
import tempfile
import time

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.checkpoints.safety import child_process, messages
from stacked_lstm.compat import tf
from support.files.checkpoint_files import GOLDEN, cell, hostile_checkpoint, saved
from support.suite.sets import ONCE

FOLDER = os.path.dirname(GOLDEN)
HUGE = child_process.Limits(60, 2**33)


def call(name, allowed=HUGE, arguments=("program",)):
    """(status, stdout, stderr) of a function in support/processes/child_functions.py."""
    with tempfile.TemporaryFile() as file:
        function = f"support.processes.child_functions:{name}"
        status, errors = child_process.call(function, arguments, allowed, "a or b", file)
        file.seek(0)
        return status, file.read().decode(), errors


@ONCE
@pytest.mark.parametrize(
    "name, allowed, text",
    [
        ("abort", HUGE, r"which ends the process that reads it \(SIGABRT\)"),
        ("loop", child_process.Limits(1, 2**33), "which takes more than (1 seconds of processor time|5 seconds)$"),
        ("sleep", child_process.Limits(1, 2**33), "which takes more than 5 seconds"),
    ],
)
def test_the_death_of_the_process(name, allowed, text):
    start = time.time()
    with pytest.raises(ValueError, match="checkpoints.read: expected a file that does no harm, got a or b, " + text):
        call(name, allowed)
    assert time.time() - start < 50


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no limit of address space")
def test_the_limit_of_memory():
    assert call("allocate", HUGE) == (1, "", "no memory\n")
    assert call("allocate", child_process.Limits(60, 2**36)) == (0, "", "")


def test_what_the_process_has(monkeypatch, tmp_path):
    """Its arguments and the parent's path of modules. Strangers' files in the current folder are not run."""
    for name in ("json", "numpy", "stacked_lstm", "tempfile", "ctypes"):
        (tmp_path / (name + ".py")).write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [os.path.abspath(path) for path in sys.path if path])
    assert call("tell", arguments=["program", "--a=b c", ""]) == (
        3,
        f"{['program', '--a=b c', '']} {sys.path}\n",
        "to stderr\n",
    )


def test_limits_follow_the_files(tmp_path):
    least = 2**33 + 2**25 * os.cpu_count()
    assert child_process.limits_for([str(tmp_path / "no.npz")]) == (60, least + 4 * 2**28)
    with open(str(tmp_path / "own.ckpt.index"), "wb") as file:
        file.truncate(10**9)
    for path in (tmp_path, tmp_path / "own.ckpt"):
        assert child_process.limits_for([str(path)]) == (260, least + 80 * 10**9)
    assert child_process.limits_for([str(tmp_path)], max_bytes=10) == (260, least + 40)


def test_arrays_between_processes():
    """Every kind of array that a file may have arrives bit for bit."""
    random = np.random.RandomState(0)
    arrays = {
        "../a/b\0\udc80": random.standard_normal([2, 3]).astype(">f4"),
        "column order": np.asfortranarray(random.standard_normal([2, 3])),
        "texts": np.array([[b"", b"a\0"], [b"\xff" * 300, b"b"]], object),
        "text": np.array(b"a", object),
        "no texts": np.empty([0, 2], object),
        "bfloat16": random.standard_normal([3]).astype(tf.bfloat16.as_numpy_dtype),
        "one bfloat16": np.array(2, tf.bfloat16.as_numpy_dtype),
        "record": np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
        "number": np.int64(7),
        "strings": np.array(["a", "bc"]),
    }
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    with tempfile.TemporaryFile() as file:
        messages.send(["values", 1], arrays, file)
        file.seek(0)
        values, received = messages.receive(file)
    assert values == ["values", 1] and list(received) == list(arrays)
    for name, array in arrays.items():
        assert received[name].dtype == array.dtype and received[name].shape == array.shape, name
        assert received[name].tolist() == array.tolist(), name


def check_same(path, **options):
    expected, actual = checkpoints.read(path, **options), checkpoints.read(path, trusted=False, **options)
    assert repr(actual) == repr(expected) and actual.layers
    for layers in ("layers", "other_layers"):
        for old, new in zip(getattr(expected, layers), getattr(actual, layers)):
            assert new.location == old.location and new.forget_bias == old.forget_bias
            for field in ("arrays", "weights", "initial_state"):
                check_same_arrays(getattr(old, field), getattr(new, field))
            assert set(new.slots) == set(old.slots)
            for slot, arrays in old.slots.items():
                check_same_arrays(arrays, new.slots[slot])
    check_same_arrays(expected.other_arrays, actual.other_arrays)


def check_same_arrays(old, new):
    assert list(new) == list(old)
    for name, array in old.items():
        assert new[name].dtype == array.dtype and new[name].tolist() == array.tolist(), name


@pytest.mark.parametrize(
    "name, package",
    [
        ("pytorch/stacked.npz", "numpy"),
        ("pytorch/stacked.safetensors", "safetensors"),
        ("pytorch_exporters/learned.onnx", "onnx"),
        ("keras_3/bidirectional.keras", "h5py"),
    ],
)
def test_the_same_as_in_one_process(name, package):
    pytest.importorskip(package, reason=f"{package} is not installed")
    check_same(os.path.join(FOLDER, name))


def test_a_tensorflow_checkpoint(tmp_path):
    arrays = cell("rnn/lstm_cell")
    arrays.update({name + "/Adam": array for name, array in cell("rnn/lstm_cell", seed=1).items()})
    arrays.update(text=b"a\0b\0", half=np.ones([2], tf.bfloat16.as_numpy_dtype), step=np.int64(7))
    check_same(saved(tmp_path / "model.ckpt", arrays), forget_bias=0.5)


def test_a_checkpoint_that_ends_its_reader(tmp_path):
    """TensorFlow's reader aborts its process on a negative size."""
    path = hostile_checkpoint(tmp_path / "model.ckpt", [-5])
    with pytest.raises(ValueError, match=r"checkpoints.read: expected .* got .*model.ckpt.*\(SIGABRT\)$"):
        checkpoints.read(path, trusted=False)
    path = hostile_checkpoint(tmp_path / "other.ckpt", [16])  # The right shape, so that only the size is hostile.
    assert len(checkpoints.read(path).layers) == 1


@ONCE
@pytest.mark.parametrize(
    "name, options, text",
    [
        ("no.npz", {}, "expected arrays without pickles in no.npz, got no such file"),
        ("zeros.npz", {"max_bytes": 10}, "expected arrays of at most 10 bytes together in zeros.npz"),
        ("zeros.npz", {}, "expected LSTM layers in zeros.npz, got none"),
        ("layers.npz", {"names": "["}, "expected `names` to be a regular expression"),
        ("zeros.npz", {"max_bytes": 0}, "expected `max_bytes` to be a positive integer, got 0"),
        ("zeros.npz", {"format": "onnx"}, "expected `format` to be 'pytorch'"),
    ],
)
def test_the_same_errors(name, options, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("zeros.npz", zeros=np.zeros([1000]))
    np.savez("layers.npz", weight_ih_l0=np.ones([12, 2]), weight_hh_l0=np.ones([12, 3]))
    errors = []
    for trusted in (True, False):
        with pytest.raises(ValueError, match="checkpoints.read: " + text) as error:
            checkpoints.read(name, trusted=trusted, **options)
        errors.append(error.value)
    assert str(errors[0]) == str(errors[1]) and type(errors[0]) is type(errors[1])
