"""How much memory a file may ask for: a small file from a stranger may declare arrays of many gigabytes."""

from __future__ import annotations

import os
from typing import Iterable

LEAST = 2**28  # Bytes that any file may ask for.
RATIO = 20  # Bytes that a larger file may ask for, per byte of its own.
UNLIMITED = 2**62
_LONGEST_NAME = 1000


class LimitError(ValueError):
    """A file that asks for more than is plausible."""


class Budget:
    """The bytes that a file may still ask for."""

    def __init__(self, path: str, max_bytes: int | None = None, file_bytes: int | None = None) -> None:
        """Starts with the whole budget.

        Args:
          path: the file.
          max_bytes: the budget; None for what is plausible for a file of this size.
          file_bytes: the size of the file; None to look it up.
        """
        self._path = path
        size = os.path.getsize(path) if file_bytes is None else file_bytes
        self._whole = max(LEAST, RATIO * size) if max_bytes is None else max_bytes
        self._left: float = self._whole

    def spend(self, count: float, name: str) -> None:
        """Takes bytes from the budget; raises `LimitError` if it is exhausted.

        Args:
          count: number of bytes.
          name: what needs them.
        """
        self._left -= count
        if self._left < 0:
            expected = f"arrays of at most {self._whole} bytes together in {self._path}, or a larger `max_bytes`"
            raise LimitError(f"checkpoints.read: expected {expected}, got more with {name[:_LONGEST_NAME]}")


def check_names(names: Iterable[str], path: str) -> None:
    """Raises `LimitError` if a name is implausibly long."""
    for name in names:
        if len(name) > _LONGEST_NAME:
            expected = f"names of at most {_LONGEST_NAME} characters in {path}"
            raise LimitError(f"checkpoints.read: expected {expected}, got {name[:40]}... of {len(name)}")
