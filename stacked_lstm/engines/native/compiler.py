"""The compiler of this machine: which one it is, and how it builds the library of the ops.

A compiler that hangs is ended after a time limit, with all processes that it has started.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from typing import IO, NamedTuple, Sequence

from stacked_lstm.compat import tf

SOURCE_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
SECONDS = 300  # A build takes about 15.
_COMPILERS = ("g++", "clang++", "c++")
# TensorFlow's headers need TensorFlow's flags, and none for the processor, which would change their memory layout.
_KERNEL_FLAGS = ["-std=c++17", "-O3", "-Wall", "-march=native"]
_OPS_FLAGS = ["-w", "-O2"]
_SHARED = ["-fPIC", "-fvisibility=hidden"]
_AT_ONCE = 2  # Commands.


class Toolchain(NamedTuple):
    """What builds the library, and for which processor.

    Fields:
      command: the compiler as a list of words, its path first.
      version: what the compiler prints for --version.
      compile_flags, link_flags: TensorFlow's flags.
      processor: the machine and the features of its processor, a tuple of strings.
    """

    command: list[str]
    version: str
    compile_flags: list[str]
    link_flags: list[str]
    processor: tuple[str, ...]


class BuildError(RuntimeError):
    """The library cannot be built or loaded. The message says why, in the compiler's words if there are any."""


def toolchain() -> Toolchain:
    """Returns the `Toolchain` of this machine; raises BuildError if there is no compiler."""
    command = _compiler()
    (version,) = _outputs([command + ["--version"]])
    return Toolchain(command, version, tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags(), _processor())


def _compiler() -> list[str]:
    """The words of CXX in the environment, such as "ccache g++" or "g++ -m64", or the first compiler on the path."""
    cxx = os.environ.get("CXX")
    try:
        commands = [shlex.split(cxx)] if cxx else [[name] for name in _COMPILERS]
    except ValueError as error:
        raise BuildError(f"expected CXX in the environment to be a command, got {cxx!r}: {error}") from error
    for name, *options in filter(None, commands):
        executable = shutil.which(name)
        if executable:
            return [executable] + options
    expected = (
        f"CXX in the environment to name one, got {cxx!r}" if cxx else f"one of {', '.join(_COMPILERS)} on the path"
    )
    raise BuildError(f"there is no C++ compiler: expected {expected}")


def build(tools: Toolchain, directory: str) -> str:
    """Compiles the library.

    Args:
      tools: the `Toolchain`.
      directory: the path of an empty folder.

    Returns:
      The path of the library in `directory`.

    Raises:
      BuildError: the compiler fails, or it takes too long.
    """
    # The flags of TensorFlow 2 name the C++ standard that its headers need. The headers of 1.15 pass strings as views
    # up to C++14 only.
    ops = ["-std=c++14"] + tools.compile_flags + _OPS_FLAGS
    abi = [flag for flag in tools.compile_flags if "_GLIBCXX_USE_CXX11_ABI" in flag]
    # Reading TensorFlow's headers takes half of the time. The sources that need them are therefore compiled as one, and
    # first, because that takes longest.
    op_sources = [name for name in sources(".cc") if name.startswith("op")]
    joined = os.path.join(directory, "joined_ops.cc")
    with open(joined, "w") as file:
        file.writelines(f'#include "{name}"\n' for name in op_sources)
    jobs = [(joined, ops + ["-I", SOURCE_DIRECTORY])]
    kernels = [name for name in sources(".cc") if name not in op_sources]
    jobs += [(os.path.join(SOURCE_DIRECTORY, name), _KERNEL_FLAGS + abi) for name in kernels]
    objects = [os.path.join(directory, os.path.basename(source) + ".o") for source, _ in jobs]
    _outputs(
        [
            tools.command + flags + _SHARED + ["-c", source, "-o", target]
            for (source, flags), target in zip(jobs, objects)
        ]
    )
    library = os.path.join(directory, "native.so")
    _outputs([tools.command + ["-shared", "-o", library] + objects + tools.link_flags])
    return library


def sources(*endings: str) -> list[str]:
    """The names of the files in this folder that have one of the endings."""
    return sorted(name for name in os.listdir(SOURCE_DIRECTORY) if name.endswith(endings))


class _Command(NamedTuple):
    """A command that runs.

    Fields:
      words: list of str.
      process: the process, which leads a group of processes.
      output: an open file with what it prints.
    """

    words: list[str]
    process: subprocess.Popen[bytes]
    output: IO[bytes]


def _outputs(commands: Sequence[list[str]]) -> list[str]:
    """What commands print, in the order in which they end; two run at a time.

    Raises BuildError if one fails or all together take too long.
    """
    waiting, texts = list(commands), []
    running: list[_Command] = []
    deadline = time.monotonic() + SECONDS
    try:
        while waiting or running:
            while waiting and len(running) < _AT_ONCE:
                running.append(_start(waiting.pop(0)))
            finished = [command for command in running if command.process.poll() is not None]
            for command in finished:
                texts.append(_text(command))
                running.remove(command)
            if not finished and time.monotonic() > deadline:
                name, number = running[0].words[0], running[0].process.pid
                raise BuildError(f"{name} (process {number}) has not finished within {SECONDS} seconds")
            time.sleep(0 if finished else 0.01)
    finally:
        for command in running:
            with contextlib.suppress(OSError):
                os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait()
            command.output.close()
    return texts


def _start(words: list[str]) -> _Command:
    english = dict(os.environ, LC_ALL="C")  # The compiler's version is part of the hash in the library's name.
    output = tempfile.TemporaryFile()  # A pipe would stay open as long as any process of the group.
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=english, start_new_session=True
        )
    except OSError as error:
        output.close()
        raise BuildError(f"{words[0]}: {error}") from error
    return _Command(words, process, output)


def _text(command: _Command) -> str:
    """What a command has printed; raises BuildError with it if the command failed."""
    with command.output as output:
        output.seek(0)
        text = output.read().decode(errors="replace")
    status = command.process.returncode
    if status:
        raise BuildError(f"{' '.join(command.words)}\nexited with {status} and said:\n{text[-4000:]}")
    return text


def _processor() -> tuple[str, ...]:
    """The machine and, if the system tells, the features of its processor."""
    description = [platform.machine()]
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = [line for line in file if line.startswith(("model name", "flags", "CPU part", "Features"))]
        description += sorted(set(lines))
    return tuple(description)
