"""Errors of files as one line that names the flag and the file."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Iterator

from stacked_lstm.commands import command


@contextlib.contextmanager
def named(flag: str, path: str, action: str = "read") -> Iterator[None]:
    """Turns an error of the file system, or of TensorFlow, into an error of one line that names flag and file.

    Args:
      flag: the flag that names the file or its directory, such as "--train_dir".
      path: the file; if the error names another one, that one is named.
      action: what the block does with it: "read", "write" or "remove".

    Raises:
      OSError: the block raised an OSError or an error of TensorFlow.
      ValueError: the block raised one; the message begins with a flag.
    """
    try:
        yield
    except BrokenPipeError:  # A reader that stops early is no fault of a file.
        raise
    except (OSError, ValueError, *_tensorflow_errors()) as error:
        if str(error).startswith("--"):
            raise
        if isinstance(error, ValueError):
            raise ValueError(f"{flag}: {reason(error)}") from error
        path = getattr(error, "filename2", None) or getattr(error, "filename", None) or path
        raise OSError(f"{flag}: expected to {action} {path}, got {reason(error)}") from error


def reason(error: Exception) -> str:
    """The line of an error's message that says what is wrong: TensorFlow also says where its graph was built."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return command.reason_of(error)


def check_regular(flag: str, path: str) -> None:
    """Raises ValueError if `path` exists and is no regular file, but a directory, or a pipe that would wait."""
    if os.path.lexists(path) and not os.path.isfile(path):
        kind = "a directory" if os.path.isdir(path) else "something else"
        raise ValueError(f"{flag}: expected a file at {path}, got {kind}")


def _tensorflow_errors() -> tuple[type[Exception], ...]:
    """TensorFlow's class of errors, once TensorFlow is imported."""
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()
