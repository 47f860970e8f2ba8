"""Temporary folders beside the files that are made in them. Those of processes that were killed do not stay."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
import time
from typing import Iterator

try:
    import fcntl
except ImportError:  # Not on Windows, where folders cannot be locked.
    fcntl = None  # type: ignore[assignment]

YOUNG = 60  # Seconds. A folder that is so young may not be locked yet.


@contextlib.contextmanager
def temporary_folder(parent: str, prefix: str) -> Iterator[str]:
    """Makes a folder for the block, and removes those that killed processes have left.

    Args:
      parent: the path of the folder in which to make it.
      prefix: start of its name. Other folders with this prefix are removed if they are older than a minute and no
        process holds their lock.

    Yields:
      The path of the folder, which is locked.
    """
    _remove_leftovers(parent, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder, _locked(folder):
        yield folder


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[bool]:
    """Locks a folder until the block ends or the process dies.

    Yields whether that succeeded: another process may have it, or the file system may know no locks.
    """
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_locked = True
        except OSError:
            is_locked = False
        yield is_locked
    finally:
        os.close(descriptor)


def _remove_leftovers(parent: str, prefix: str) -> None:
    for name in glob.glob(os.path.join(glob.escape(parent), prefix + "*")):
        with contextlib.suppress(OSError), _locked(name) as is_locked:
            if is_locked and time.time() - os.stat(name).st_mtime > YOUNG:
                shutil.rmtree(name)
