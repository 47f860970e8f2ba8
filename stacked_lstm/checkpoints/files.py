"""Reading files that may be broken, and writing files whole or not at all."""

import collections
import contextlib
import os
import re
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
def reading(path, what, errors, function="checkpoints.read"):
    """Turns `errors` that a library raises on a broken file into a ValueError that names the file."""
    try:
        yield
    except errors as error:
        reason = ("%s: %s" % (type(error).__name__, error)).strip(": \n")
        raise ValueError("%s: expected %s in %s, got %s" % (function, what, path, reason)) from error


def needed(package, path):
    """Raises ValueError: `package`, without which `path` cannot be read or written, is not installed."""
    checks.fail("checkpoints", "the package `%s` for %s" % (package, path), "none installed; pip install %s" % package)


def same(a, b):
    """Whether two arrays have the same dtype, shape and bits."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes()


def check_free(path, overwrite):
    """Raises ValueError where `path` cannot be written, or is there and not to be overwritten."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        checks.fail("checkpoints.write", "an existing folder for %s" % path, "none at %s" % folder)
    if os.path.isdir(path):
        checks.fail("checkpoints.write", "the name of a file", "the folder %s" % path)
    if not overwrite and any(os.path.exists(name) for name in (path, path + ".index")):
        checks.fail("checkpoints.write", "a name that is free, or to be asked to overwrite", path)


def write(path, content, save, load, overwrite):
    """Writes a file, reads it back, and only then gives it its name; if anything fails, nothing has changed.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint's files.
      content: the `Content` to write.
      save, load: functions of (path, content) and of a path.
      overwrite: whether an existing file may be replaced.

    Raises:
      ValueError: see `check_free`; what was read back differs.
    """
    check_free(path, overwrite)
    folder, base = os.path.split(os.path.abspath(path))
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as temporary:
        written = os.path.join(temporary, base)
        with reading(path, "arrays that can be written", (OSError, TypeError, ValueError), "checkpoints.write"):
            save(written, content)
        found = load(written).arrays
        names = sorted(set(found) ^ set(content.arrays))
        names += [name for name in content.arrays if name in found and not same(found[name], content.arrays[name])]
        if names:
            checks.fail("checkpoints.write", "%s to hold what was written" % path, "differences in %s" % names)
        for name in sorted(os.listdir(temporary)):  # Of a checkpoint's files the data come first, the index last.
            os.replace(os.path.join(temporary, name), os.path.join(folder, name))


def in_order(name):
    """A key for sorting names: numbers by size, forward before backward."""
    words = re.sub(r"\b(fw|forward)", "0", re.sub(r"\b(bw|backward)", "1", name))
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", words)]
