"""A process of its own for files from strangers, with limits of time and memory.

TensorFlow's reader ends its process on some malicious checkpoints, and HDF5's library can loop forever. In a child
process, that is one ValueError of the parent.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import IO, NamedTuple, NoReturn, Sequence

try:
    import resource
except ImportError:  # Not on Windows, where only the parent's clock limits the child.
    resource = None  # type: ignore[assignment]

from stacked_lstm import checks
from stacked_lstm.checkpoints.safety import limits
from stacked_lstm.checkpoints.safety.files import existing_files

# The current folder, which `-c` puts first, must not name modules: strangers' files may be there.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1].split('\\n'); from stacked_lstm.checkpoints.safety import child_process;"
    " child_process.main(sys.argv[2:])"
)
_SECONDS = 60  # Of processor time, at least. Importing TensorFlow takes some of them.
_BYTES_PER_SECOND = 5e6
_CLOCK = 5  # Seconds that may pass, per second of processor time.
_BYTES = 2**33  # Of address space, at least. TensorFlow's libraries take some of them.
_BYTES_PER_CORE = 2**25  # TensorFlow starts two threads for each.
_COPIES = 4  # Of the arrays, in memory.


class Limits(NamedTuple):
    """What a child process may use.

    Fields:
      seconds: processor time. Five times as much may pass on the clock.
      bytes: address space.
    """

    seconds: int
    bytes: int


def limits_for(paths: Sequence[str], max_bytes: int | None = None) -> Limits:
    """The `Limits` of a process that reads files.

    Args:
      paths: the files, or prefixes or folders of TensorFlow checkpoints.
      max_bytes: as for `checkpoints.read`.
    """
    parts = [
        name
        for path in paths
        for name in ([entry.path for entry in os.scandir(path)] if os.path.isdir(path) else existing_files(path))
    ]
    size = sum(os.path.getsize(name) for name in parts if os.path.isfile(name))
    budget = max(limits.LEAST, limits.RATIO * size) if max_bytes is None else max_bytes
    least = _BYTES + _BYTES_PER_CORE * (os.cpu_count() or 1)
    return Limits(int(_SECONDS + size / _BYTES_PER_SECOND), min(least + _COPIES * budget, limits.UNLIMITED))


def call(
    function: str, arguments: Sequence[str], allowed: Limits, paths: str, stdout: IO[bytes] | None = None
) -> tuple[int, str]:
    """Calls a function of this package in another process, which has `arguments` as `sys.argv`.

    Args:
      function: "module:function".
      arguments: list of str, from the name of the program on.
      allowed: the `Limits` of the process.
      paths: the files that the process reads; the error names them.
      stdout: an open file for the output; None for that of this process.

    Returns:
      The exit status, and what the process wrote to stderr.

    Raises:
      ValueError: the process died, or it was ended because it took too long.
    """
    command = [sys.executable, "-c", _PROGRAM, "\n".join(map(str, sys.path)), function]
    command += [str(allowed.seconds), str(allowed.bytes), *arguments]
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="", MALLOC_ARENA_MAX="4")  # Arenas take address space.
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stdout.flush()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors, env=environment)
        try:
            status = process.wait(allowed.seconds * _CLOCK)
        except subprocess.TimeoutExpired:
            status = -getattr(signal, "SIGALRM", signal.SIGTERM)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status < 0:
            _fail(-status, allowed, paths)
        errors.seek(0)
        return status, errors.read().decode(errors="replace")


def _fail(number: int, allowed: Limits, paths: str) -> NoReturn:
    """Raises the ValueError for a process that a signal ended."""
    names = {item.value: item.name for item in signal.Signals}
    reasons = {
        "SIGXCPU": f"which takes more than {allowed.seconds} seconds of processor time",
        "SIGALRM": f"which takes more than {allowed.seconds * _CLOCK} seconds",
    }
    name = names.get(number, f"signal {number}")
    reason = reasons.get(name, f"which ends the process that reads it ({name})")
    checks.fail("checkpoints.read", "a file that does no harm", f"{paths}, {reason}")


def main(arguments: Sequence[str]) -> None:
    """What the child process does: `call` says what. Its arguments are the function, the limits and `sys.argv`."""
    function, seconds, size, *sys.argv[:] = arguments
    _limit(Limits(int(seconds), int(size)))
    module, name = function.split(":")
    getattr(importlib.import_module(module), name)()


def _limit(allowed: Limits) -> None:
    """Limits this process, and lets it end if its parent does."""
    if resource is None:
        return
    for kind, amount in [
        (resource.RLIMIT_AS, allowed.bytes),
        (resource.RLIMIT_CPU, allowed.seconds),
        (resource.RLIMIT_CORE, 0),
    ]:
        hard = resource.getrlimit(kind)[1]
        soft = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        with contextlib.suppress(OSError, ValueError):  # macOS has no limit of address space.
            resource.setrlimit(kind, (soft, hard))
    signal.alarm(allowed.seconds * _CLOCK)
    with contextlib.suppress(Exception):  # Only Linux has this.
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
