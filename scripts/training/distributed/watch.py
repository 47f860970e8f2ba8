"""A line on stderr while a process of a cluster waits, with the processes that do not answer."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import Iterator, Mapping

PATIENCE = 10.0  # Seconds without a step before the first line; before each further line, twice as many.
_TIMEOUT = 2.0


class Watch:
    """A thread that speaks up if nothing happens for a while. TensorFlow waits in silence for a lost process.

    It runs inside a `with` statement.
    """

    def __init__(self, name: str, peers: Mapping[str, str], patience: float | None = None) -> None:
        """Prepares the thread.

        Args:
          name: what this process is called in the lines, such as "worker 1".
          peers: name -> address, host:port, of the processes that it may be waiting for.
          patience: seconds without a call of `progress` before the first line; None for `PATIENCE`.
        """
        self._name, self._peers, self._patience = name, peers, patience or PATIENCE
        self._end, self._is_paused = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.progress()

    def progress(self) -> None:
        """Says that a step has been made."""
        self._since, self._lines = time.monotonic(), 0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keeps silent while a block runs that makes no steps."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False
            self.progress()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(min(1.0, self._patience / 4)):
            seconds = time.monotonic() - self._since
            if not self._is_paused and seconds > self._patience * 2**self._lines:
                self._lines += 1
                print(self.line(seconds), file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """What is printed after so many seconds without a step."""
        silent = [f"{name} ({address})" for name, address in self._peers.items() if not answers(address)]
        why = f"no answer from {', '.join(silent)}" if silent else "all other processes answer, one may be busy"
        return f"{self._name}: no step for {seconds:.0f} s: {why}"


def answers(address: str) -> bool:
    """Whether a process listens at an address, host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT).close()
    except OSError:
        return False
    return True
