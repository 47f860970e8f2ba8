"""Files that may be damaged are read with clear errors, and files are written completely or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
import tempfile
from typing import Any, BinaryIO, Callable, Dict, Iterator, NamedTuple, NoReturn

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints.limits import LimitError

Arrays = Dict[str, np.ndarray]


class Content(NamedTuple):
    """What a file holds.

    Fields:
      arrays: dictionary from names to arrays.
      container: what else the format needs to write the file again, such as an ONNX model; None if it needs nothing.
    """

    arrays: Arrays
    container: Any


@contextlib.contextmanager
def file_errors(path: str, expected: str, function: str = "checkpoints.read") -> Iterator[None]:
    """Turns every error of the block into a ValueError that names the file.

    Libraries raise all kinds of exceptions on a damaged file.

    Args:
      path: the file.
      expected: what the file should hold, e.g. "a Keras file".
      function: the function of this package that the message names.
    """
    try:
        yield
    except LimitError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip(": \n")
        raise ValueError(f"{function}: expected {expected} in {path}, got {reason}") from error


def fail_without_package(package: str, path: str) -> NoReturn:
    """Raises the ValueError that tells how to install a package that `path` needs."""
    raise ValueError(f"checkpoints: expected the package `{package}` for {path}, got none; pip install {package}")


def open_regular(path: str) -> BinaryIO:
    """Opens a file for reading; raises ValueError if it is a FIFO or a device, which might block or never end."""
    file = open(path, "rb", opener=lambda name, mode: os.open(name, mode | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path}, which is no regular file")
    return file


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays have the same dtype, shape and bits."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes()


def existing_files(path: str) -> list[str]:
    """The existing files among `path` itself and the files of a TensorFlow checkpoint with this prefix."""
    names = [path, path + ".index"] + sorted(glob.glob(glob.escape(path) + ".data-?????-of-?????"))
    return [name for name in names if os.path.lexists(name)]


def check_target(path: str, overwrite: bool) -> None:
    """Raises ValueError if `path` cannot be written: no folder, a folder of that name, or an existing file.

    Args:
      path: the file to write, or the prefix of a TensorFlow checkpoint.
      overwrite: whether existing files may be replaced.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        checks.fail("checkpoints.write", f"an existing folder for {path}", f"none at {folder}")
    for name in existing_files(path):
        if os.path.isdir(name):
            checks.fail("checkpoints.write", "the name of a file", f"the folder {name}")
        if not overwrite:
            checks.fail("checkpoints.write", "the name of a new file, or `overwrite=True`", f"{name}, which exists")


def write(
    path: str,
    content: Content,
    save: Callable[[str, Content], None],
    load: Callable[[str], Content],
    overwrite: bool,
) -> None:
    """Writes a file under a temporary name, reads it back, compares all arrays, and renames it.

    If anything fails, no file has changed. A file that is replaced keeps its mode. If `path` is a link, the file that
    it points to is replaced. The files of a TensorFlow checkpoint are renamed one after the other, the index last. If
    the process is killed in between, new data stand beside the old index, or beside none: write it again.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint.
      content: what to write.
      save: writes a `Content` to a path; may raise ValueError.
      load: reads a path; may raise ValueError.
      overwrite: whether existing files may be replaced.

    Raises:
      ValueError: `check_target` says when; or the arrays that were read back differ.
    """
    check_target(path, overwrite)
    path = os.path.realpath(path)
    folder, base = os.path.split(path)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as temporary:
        temporary_path = os.path.join(temporary, base)
        with file_errors(path, "arrays that can be written", "checkpoints.write"):
            save(temporary_path, content)
        _check_same_arrays(path, content.arrays, load(temporary_path).arrays)
        names = sorted(os.listdir(temporary))  # The data of a TensorFlow checkpoint sort before its index.
        targets = [os.path.realpath(os.path.join(folder, name)) for name in names]
        for name, target in zip(names, targets):
            source = os.path.join(temporary, name)
            if os.path.exists(target):
                shutil.copymode(target, source)
            os.replace(source, target)
    for name in existing_files(path):  # The checkpoint that was here had more shards, or was a file of version 1.
        if os.path.realpath(name) not in targets:
            os.remove(name)


def _check_same_arrays(path: str, arrays: Arrays, reread: Arrays) -> None:
    names = sorted(set(reread) ^ set(arrays))
    names += [name for name in arrays if name in reread and not same_bits(reread[name], arrays[name])]
    if names:
        checks.fail("checkpoints.write", f"{path} to hold the arrays that were written", f"differences in {names}")
