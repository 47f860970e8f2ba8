"""Files that may be damaged or hostile: opened safely, and read with clear errors."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import stat
from typing import Any, BinaryIO, Dict, Iterator, NamedTuple, NoReturn

import numpy as np

from stacked_lstm.checkpoints.safety.limits import LimitError

_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # Opening a FIFO does not wait for a writer then.
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
        is_missing = function == "checkpoints.read" and not existing_files(path)
        reason = "no such file" if is_missing else f"an error ({_first_sentence(error)})"
        raise ValueError(f"{function}: expected {expected} in {path}, got {reason}") from error


def _first_sentence(error: Exception) -> str:
    """The error without the advice after its first sentence, which is for callers of the library that raised it."""
    text = " ".join(str(error).split())
    text = text.split(". ")[0].split(": perhaps ")[0].rstrip(".: ")
    text = re.sub("Unable to open table file .*: ", "", text).replace("an sstable", "the index of a checkpoint")
    return f"{type(error).__name__}: {text}".rstrip(": ")


def fail_without_package(package: str, path: str) -> NoReturn:
    """Raises the ValueError that tells how to install a package that `path` needs."""
    raise ValueError(f"checkpoints: {path} needs the package {package}: pip install {package}")


def open_regular(path: str) -> BinaryIO:
    """Opens a file for reading; raises ValueError if it is a FIFO or a device, which might block or never end."""
    file = open(path, "rb", opener=lambda name, mode: os.open(name, mode | _NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path} is no regular file")
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
