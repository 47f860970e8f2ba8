"""One training at a time in a directory: a lock that ends with its process, however the process ends."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Iterator

try:
    import fcntl
except ImportError:  # Windows has no such locks; runs are not told apart there.
    fcntl = None  # type: ignore[assignment]

from shared import file_errors

FILE = "lock"


@contextlib.contextmanager
def hold(directory: str) -> Iterator[None]:
    """Locks a directory while the block runs; makes it if it does not exist.

    The file `lock` in it says who has the lock. It stays there afterwards, because a file that another process has
    open cannot be removed safely. A file system without locks does not keep a run from training.

    Raises:
      ValueError: another process, or another run of this one, has the lock.
      OSError: the file cannot be written.
    """
    path = os.path.join(directory, FILE)
    with file_errors.named("--train_dir", path, "write"):
        os.makedirs(directory, exist_ok=True)
        file_errors.check_regular("--train_dir", path)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    with file:
        if fcntl and not _lock(file):
            file.seek(0)
            owner = file.read(1000).strip() or "another process"
            raise ValueError(
                f"--train_dir: expected a directory in which no other training runs, got {directory}, "
                f"which {owner} uses"
            )
        with file_errors.named("--train_dir", path, "write"):
            file.truncate(0)
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {socket.gethostname()} (since {since})\n")
            file.flush()
        yield


def is_held(directory: str) -> bool:
    """Whether another process, or another run of this one, has the lock of a directory."""
    path = os.path.join(directory, FILE)
    if not fcntl or not os.path.isfile(path):
        return False
    with open(path, encoding="utf-8") as file:
        return not _lock(file)


def _lock(file) -> bool:
    """Locks an open file; returns False if someone else has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # The file system knows no locks.
        return True
    return True
