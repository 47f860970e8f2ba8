"""Files that commands write: each is complete or absent, also if the process is killed or the machine stops."""

from __future__ import annotations

import os
from typing import Callable

from stacked_lstm.files import durable_files


def replace(path: str, write: Callable[[str], None]) -> None:
    """Writes a file under a temporary name, which no other process has, and then gives it its name.

    When it returns, the file and its name are on the disk.

    Args:
      path: the file's name.
      write: writes a file under the name that it gets, which has the same extension.
    """
    base, extension = os.path.splitext(path)
    temporary = f"{base}.tmp-{os.getpid()}{extension}"
    try:
        write(temporary)
        durable_files.flush(temporary)
        durable_files.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def check_file_name(flag: str, path: str | None) -> None:
    """Raises ValueError if a flag names a file that cannot be written, because of its folder; None is no file."""
    if path is None:
        return
    if not path or os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise ValueError(f"--{flag}: expected the name of a file in an existing folder, got {path or 'none'}")


def check_folder_name(flag: str, path: str) -> None:
    """Raises ValueError if a flag names neither a folder nor a new name below one."""
    existing = os.path.realpath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not path or not os.path.isdir(existing):
        actual = f"{path}, where {existing} is a file" if path else "none"
        raise ValueError(f"--{flag}: expected a directory, or the name of a new one, got {actual}")
