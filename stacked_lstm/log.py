"""Warnings of the package, each of them once per process, to the logger "stacked_lstm"."""

from __future__ import annotations

import logging

_LOG = logging.getLogger("stacked_lstm")
_logged: set[str] = set()


def warn_once(message: str) -> None:
    """Logs a warning, unless this process has already logged the same one."""
    if message not in _logged:
        _logged.add(message)
        _LOG.warning("stacked_lstm: %s", message)
