"""The compiler of this machine: which one it is, and how it builds a library.

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

SECONDS = 300  # A build takes about 15.
FLAGS_VARIABLE = "STACKED_LSTM_CXXFLAGS"
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
      compile_flags, link_flags: those of other libraries that the library needs, such as TensorFlow.
      libraries: the versions of these.
      processor: the machine and the features of its processor, a tuple of strings.
      kernel_flags: the user's flags for the kernels, after all others.
    """

    command: list[str]
    version: str
    compile_flags: list[str]
    link_flags: list[str]
    libraries: str
    processor: tuple[str, ...]
    kernel_flags: list[str]


class BuildError(RuntimeError):
    """The library cannot be built or loaded. The message says why, in the compiler's words if there are any."""


def toolchain(compile_flags: Sequence[str] = (), link_flags: Sequence[str] = (), libraries: str = "") -> Toolchain:
    """Returns the `Toolchain` of this machine with these fields; raises BuildError if there is no compiler."""
    command = _compiler()
    (version,) = _outputs([command + ["--version"]])
    return Toolchain(
        command, version, list(compile_flags), list(link_flags), libraries, _processor(), _words(FLAGS_VARIABLE)
    )


def _words(variable: str) -> list[str]:
    """The words of an environment variable, with the quotes of a shell."""
    value = os.environ.get(variable, "")
    try:
        return shlex.split(value)
    except ValueError as error:
        raise BuildError(f"the environment variable {variable} is no list of words: {value!r} ({error})") from error


def _compiler() -> list[str]:
    """The words of CXX in the environment, such as "ccache g++" or "g++ -m64", or the first compiler on the path."""
    cxx = os.environ.get("CXX")
    try:
        commands = [shlex.split(cxx)] if cxx else [[name] for name in _COMPILERS]
    except ValueError as error:
        raise BuildError(f"the environment variable CXX is no command: {cxx!r} ({error})") from error
    for name, *options in filter(None, commands):
        executable = shutil.which(name)
        if executable:
            return [executable] + options
    if cxx:
        raise BuildError(f"the environment variable CXX names no compiler that can be found: {cxx!r}")
    raise BuildError(f"there is no C++ compiler ({', '.join(_COMPILERS)}) on the path; install one, or name it in CXX")


def build(
    tools: Toolchain, sources: Sequence[str], op_sources: Sequence[str], header_folders: Sequence[str], directory: str
) -> str:
    """Compiles a library.

    Args:
      tools: the `Toolchain`.
      sources, op_sources: the paths of the files to compile: those without TensorFlow, and those with its ops.
      header_folders: the paths from which the files include headers. One of them is the folder of `op_sources`.
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
    jobs = [(source, _KERNEL_FLAGS + abi + tools.kernel_flags) for source in sources]
    if op_sources:
        joined = os.path.join(directory, "joined_ops.cc")
        with open(joined, "w") as file:
            file.writelines(f'#include "{os.path.basename(source)}"\n' for source in op_sources)
        jobs.insert(0, (joined, ops))
    includes = [f"-I{folder}" for folder in header_folders]
    commands, objects = [], []
    for source, flags in jobs:
        objects.append(os.path.join(directory, os.path.basename(source) + ".o"))
        commands.append(tools.command + flags + includes + _SHARED + ["-c", source, "-o", objects[-1]])
    _outputs(commands)
    library = os.path.join(directory, "library.so")
    _outputs([tools.command + ["-shared", "-o", library] + objects + tools.link_flags])
    return library


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
        said = text[-4000:].strip() or "nothing"
        raise BuildError(f"{command.words[0]} failed with status {status} and said: {said}")
    return text


def _processor() -> tuple[str, ...]:
    """The machine and, if the system tells, the features of its processor."""
    description = [platform.machine()]
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = [line for line in file if line.startswith(("model name", "flags", "CPU part", "Features"))]
        description += sorted(set(lines))
    return tuple(description)
