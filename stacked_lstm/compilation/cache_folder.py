"""The folder that keeps the built libraries. Nobody except this user and root may choose what is in it.

Its path is resolved once. Then every folder from the root on is opened within the one before it and checked, and all
files are opened within the last one. Nobody can exchange a folder between a check and its use.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import stat
import time
from typing import Iterator

from stacked_lstm.compilation.compiler import BuildError

try:
    import fcntl
except ImportError:  # Windows has no fcntl. The native engine does not run there either.
    fcntl = None  # type: ignore[assignment]

VARIABLE = "STACKED_LSTM_CACHE"
SECONDS = 300  # How long one process waits for another one that builds.
_SILENT_SECONDS = 2
_NOT_BLOCKING = getattr(os, "O_NONBLOCK", 0)  # Opening a FIFO does not wait for another process then.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_LINK

_LOG = logging.getLogger("stacked_lstm")


def path() -> str:
    """Returns the path of the folder without links, and makes the folder if it does not exist.

    Raises:
      BuildError: the path is not absolute.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = os.environ.get(VARIABLE) or os.path.join(base, "stacked_lstm")
    if not os.path.isabs(directory):  # "~" stays as it is if the user has no home directory.
        raise BuildError(f"there is no directory to build in; set {VARIABLE} to an absolute path, not {directory!r}")
    os.makedirs(directory, 0o700, exist_ok=True)
    return os.path.realpath(directory)


@contextlib.contextmanager
def opened(directory: str) -> Iterator[int]:
    """Opens a folder from the root on.

    Args:
      directory: a path without links.

    Yields:
      A descriptor of the folder, for the argument `dir_fd` of the functions of `os`.

    Raises:
      BuildError: users other than this one and root may exchange files in it, and so choose which code runs.
    """
    if os.open not in os.supports_dir_fd:
        raise BuildError("expected a system that opens files within an open directory")
    names = [name for name in directory.split(os.sep) if name]
    descriptor = os.open(os.sep, _FOLDER)
    try:
        for k in range(len(names) + 1):
            if not is_private(os.fstat(descriptor), allow_sticky=k < len(names)):
                folder = os.sep + os.sep.join(names[:k])
                advice = f"`chmod 700` it, or set {VARIABLE} to another directory"
                raise BuildError(f"other users can write to {folder}, and so choose which code runs; {advice}")
            if k < len(names):
                parent, descriptor = descriptor, os.open(names[k], _FOLDER, dir_fd=descriptor)
                os.close(parent)
        yield descriptor
    finally:
        os.close(descriptor)


def is_private(status: os.stat_result, allow_sticky: bool = False) -> bool:
    """Whether a file or folder belongs to the user or root and nobody else may change it.

    Args:
      status: its `os.stat`.
      allow_sticky: whether others may write in a folder where they cannot rename what is not theirs, such as /tmp.
    """
    user = os.getuid() if hasattr(os, "getuid") else status.st_uid
    others = stat.S_IWOTH
    if status.st_gid != user:  # Many systems give each user a group with the same number, and no other member.
        others |= stat.S_IWGRP
    is_sticky = allow_sticky and status.st_mode & stat.S_ISVTX
    return status.st_uid in (user, 0) and bool(is_sticky or not status.st_mode & others)


def has_library(name: str, folder: int) -> bool:
    """Whether a folder has a complete library that is a private file and no link.

    Args:
      name: of the file.
      folder: a descriptor.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | _NO_LINK | _NOT_BLOCKING, dir_fd=folder)
    except OSError:
        return False
    return _is_complete(descriptor, must_be_private=True)


def is_library(path_of_library: str) -> bool:
    """Whether the user's own path leads to a complete library. It may be a link, and anybody's."""
    try:
        descriptor = os.open(path_of_library, os.O_RDONLY | _NOT_BLOCKING)
    except OSError:
        return False
    return _is_complete(descriptor, must_be_private=False)


def _is_complete(descriptor: int, must_be_private: bool) -> bool:
    """Whether an open file ends with the hash of the rest of it. Closes the descriptor."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (must_be_private and not is_private(status)):
        os.close(descriptor)
        return False
    with open(descriptor, "rb") as file:
        contents = file.read()
    return len(contents) > 32 and hashlib.sha256(contents[:-32]).digest() == contents[-32:]


def complete(library: str) -> None:
    """Makes a new library one that `has_library` accepts: appends its hash, and lets nobody else write to it."""
    with open(library, "rb") as file:
        digest = hashlib.sha256(file.read()).digest()
    with open(library, "ab") as file:
        file.write(digest)
    os.chmod(library, stat.S_IMODE(os.stat(library).st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))


@contextlib.contextmanager
def locked(name: str, folder: int) -> Iterator[None]:
    """A lock that one process at a time holds. The system releases it if that process dies.

    Args:
      name: of the file to lock, which tells who holds the lock.
      folder: the descriptor of its folder.

    Raises:
      BuildError: another process holds the lock for too long.
    """
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | _NO_LINK | _NOT_BLOCKING, 0o600, dir_fd=folder)
    try:
        _wait_for(descriptor)
        with contextlib.suppress(OSError):  # Without space, others do not learn who holds the lock.
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    """Waits for a lock, and says for whom."""
    start, is_told = time.monotonic(), False
    while not _lock(descriptor):
        seconds = time.monotonic() - start
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
        if seconds > SECONDS:
            raise BuildError(f"{holder} did not finish building the library within {SECONDS} seconds")
        if seconds > _SILENT_SECONDS and not is_told:
            text = "stacked_lstm: waiting at most %d seconds for %s, which builds the same library"
            _LOG.warning(text, SECONDS, holder)
            is_told = True
        time.sleep(0.05)


def _lock(descriptor: int) -> bool:
    """Whether this process may go on. Without locks, several processes may build; all results are equally good."""
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
