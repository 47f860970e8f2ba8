"""Reading files that may be broken, and writing files whole or not at all."""

import collections
import contextlib
import glob
import os
import re
import shutil
import tempfile

import numpy as np

from stacked_lstm import checks

Content = collections.namedtuple("Content", ["arrays", "rest"])
Content.__doc__ = """What a file holds.

Fields:
  arrays: ordered dictionary from names to arrays.
  rest: what else its module needs to write the file again; None where there is nothing else.
"""


@contextlib.contextmanager
def reading(path, what, function="checkpoints.read"):
    """Turns what a library raises on a broken file, which may be anything, into a ValueError that names the file."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip(": \n")
        raise ValueError(f"{function}: expected {what} in {path}, got {reason}") from error


def needed(package, path):
    """Raises ValueError: `package`, without which `path` cannot be read or written, is not installed."""
    checks.fail("checkpoints", f"the package `{package}` for {path}", f"none installed; pip install {package}")


def same(a, b):
    """Whether two arrays have the same dtype, shape and bits."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes()


def existing(path):
    """The files there are of a name: itself, and those of the TensorFlow checkpoint with that prefix."""
    names = [path, path + ".index"] + sorted(glob.glob(glob.escape(path) + ".data-?????-of-?????"))
    return [name for name in names if os.path.lexists(name)]


def check_free(path, overwrite):
    """Raises ValueError where `path` cannot be written, or is there and not to be overwritten."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        checks.fail("checkpoints.write", f"an existing folder for {path}", f"none at {folder}")
    for name in existing(path):
        if os.path.isdir(name):
            checks.fail("checkpoints.write", "the name of a file", f"the folder {name}")
        if not overwrite:
            checks.fail("checkpoints.write", "a name that is free, or to be asked to overwrite", name)


def write(path, content, save, load, overwrite):
    """Writes a file, reads it back, and only then gives it its name; if anything fails, nothing has changed.

    An existing file keeps its mode, and a link the file it leads to. A checkpoint is several files, renamed one after
    the other, the index last: a kill in between leaves new data beside the old index, or none, and has to be repeated.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint's files.
      content: the `Content` to write.
      save, load: functions of (path, content) and of a path, which may raise ValueError.
      overwrite: whether an existing file may be replaced.

    Raises:
      ValueError: see `check_free`; what was read back differs.
    """
    check_free(path, overwrite)
    path = os.path.realpath(path)
    folder, base = os.path.split(path)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as temporary:
        written = os.path.join(temporary, base)
        with reading(path, "arrays that can be written", "checkpoints.write"):
            save(written, content)
        found = load(written).arrays
        names = sorted(set(found) ^ set(content.arrays))
        names += [name for name in content.arrays if name in found and not same(found[name], content.arrays[name])]
        if names:
            checks.fail("checkpoints.write", f"{path} to hold what was written", f"differences in {names}")
        names = sorted(os.listdir(temporary))  # Of a checkpoint's files the data come first, the index last.
        targets = [os.path.realpath(os.path.join(folder, name)) for name in names]
        for name, target in zip(names, targets):
            name = os.path.join(temporary, name)
            if os.path.exists(target):
                shutil.copymode(target, name)
            os.replace(name, target)
    for name in existing(path):  # More shards, or a file of version 1, of the checkpoint that was here.
        if os.path.realpath(name) not in targets:
            os.remove(name)


def in_order(name):
    """A key for sorting names: numbers by size, forward before backward."""
    words = re.sub(r"\b(fw|forward)", "0", re.sub(r"\b(bw|backward)", "1", name))
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", words)]


def direction_of(scope):
    """ "backward" where a scope is that of a layer that reads backward, in rnn_cell's way or Keras', else "forward"."""
    backward = any(re.fullmatch(r"bw|backward(?:_.*)?", part) for part in scope.split("/"))
    return "backward" if backward else "forward"
