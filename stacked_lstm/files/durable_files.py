"""Renaming of files so that the new name and the content stay if the machine stops."""

from __future__ import annotations

import errno
import os

# The user may have permission to write a folder but not to read it. Some file systems cannot flush folders.
_UNFLUSHED_FOLDERS = (errno.EACCES, errno.EINVAL, errno.ENOTSUP)


def flush(path: str) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk.

    Raises:
      OSError: the disk is full or fails. A folder that cannot be flushed at all is no error.
    """
    if os.name == "nt":  # Windows cannot open folders.
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (os.path.isdir(path) and error.errno in _UNFLUSHED_FOLDERS):
            raise


def replace(source: str, target: str) -> None:
    """Renames a file that was flushed, and waits until the new name is on the disk."""
    os.replace(source, target)
    flush(os.path.dirname(os.path.abspath(target)))


def move(source: str, target: str) -> None:
    """Renames a file or a folder after its content is on the disk, and waits until the new name is, too."""
    for folder, _, names in os.walk(source):
        for path in [*(os.path.join(folder, name) for name in names), folder]:
            flush(path)
    if os.path.isfile(source):
        flush(source)
    replace(source, target)
