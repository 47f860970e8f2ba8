"""Environment variables that are set for a while."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator


@contextlib.contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Sets an environment variable inside a `with` statement. Afterwards it is as before."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
