"""The compiled ops: the compiler on this machine builds them at their first use, and the user's cache keeps them.

The name of the built file is a hash of everything it depends on: sources, TensorFlow, compiler, processor. The file is
written under another name and then renamed. It ends with a hash of its own contents, so that an incomplete file is
built again. If the environment names a library, that one is loaded instead, and nothing is built.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import threading
from typing import Any, Iterator, NamedTuple

from stacked_lstm.compat import tf

try:
    import fcntl
except ImportError:  # Windows has no fcntl. There is no native engine there either.
    fcntl = None  # type: ignore[assignment]

SOURCE_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
CACHE_VARIABLE = "STACKED_LSTM_CACHE"
LIBRARY_VARIABLE = "STACKED_LSTM_NATIVE_LIBRARY"
_COMPILERS = ("g++", "clang++", "c++")
# TensorFlow's headers need TensorFlow's flags, and none for the processor, which would change their memory layout.
_KERNEL_FLAGS = ["-std=c++17", "-O3", "-Wall", "-march=native"]
_OPS_FLAGS = ["-w", "-O2"]
_SHARED = ["-fPIC", "-fvisibility=hidden"]

_LOG = logging.getLogger("stacked_lstm")


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
    version = _output(command + ["--version"])
    return Toolchain(command, version, tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags(), _processor())


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


def cache_directory() -> str:
    """Returns the directory of the built libraries, and makes it if it does not exist.

    Raises:
      BuildError: users other than this one and root may write there, and so choose which code runs.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = os.environ.get(CACHE_VARIABLE) or os.path.join(base, "stacked_lstm")
    if not os.path.isabs(directory):  # "~" stays as it is if the user has no home directory.
        raise BuildError(
            f"there is no directory to build in; set {CACHE_VARIABLE} to an absolute path, not {directory!r}"
        )
    os.makedirs(directory, 0o700, exist_ok=True)
    if not _is_private(os.stat(directory)):
        raise BuildError(
            f"other users can write to {directory}, and so choose which code runs; `chmod 700` it, or set "
            f"{CACHE_VARIABLE} to another directory"
        )
    return directory


def cache_path(tools: Toolchain) -> str:
    """Returns the path where the cache keeps the library that `tools` build."""
    digest = hashlib.sha256(repr((tf.__version__, tf.version.GIT_VERSION, tuple(tools))).encode())
    for name in _files(".h", ".cc", "library.py"):  # This file has the flags.
        with open(os.path.join(SOURCE_DIRECTORY, name), "rb") as source:
            digest.update(name.encode() + b"\0" + source.read() + b"\0")
    return os.path.join(cache_directory(), f"native-{digest.hexdigest()[:32]}.so")


def find_or_build() -> tuple[str, bool]:
    """Returns (path of the library, whether this call built it).

    Raises:
      BuildError: there is no compiler, the compiler fails, or there is no place to keep the library.
    """
    library = os.environ.get(LIBRARY_VARIABLE)
    if library:
        if not _is_complete(library):
            raise BuildError(f"{LIBRARY_VARIABLE} names no library that this package built: {library!r}")
        return os.path.abspath(library), False
    try:
        return _find_or_build_in_cache(toolchain())
    except OSError as error:
        raise BuildError(f"the library cannot be kept: {error}; set {CACHE_VARIABLE} to another directory") from error


def _find_or_build_in_cache(tools: Toolchain) -> tuple[str, bool]:
    library = cache_path(tools)
    if _is_complete(library):
        return library, False
    with _lock(library + ".lock"):
        if _is_complete(library):  # Another process was faster.
            return library, False
        _LOG.warning("stacked_lstm: building the native engine once, with %s, as %s", " ".join(tools.command), library)
        with tempfile.TemporaryDirectory(prefix="build-", dir=os.path.dirname(library)) as directory:
            build = _build(tools, directory)
            with open(build, "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
            with open(build, "ab") as file:
                file.write(digest)
            os.replace(build, library)
    return library, True


_loading = threading.Lock()
_loaded: dict[str, Any] = {}  # After the first attempt: "ops" or "problem".


def load() -> Any:
    """Returns the module of ops, and builds it first if necessary. Later calls repeat the outcome, even a failure.

    Raises:
      BuildError: the library cannot be built or loaded.
    """
    with _loading:
        if not ("ops" in _loaded or "problem" in _loaded):
            try:
                _loaded["ops"] = tf.load_op_library(find_or_build()[0])
            except BuildError as error:
                _loaded["problem"] = str(error)
            except Exception as error:  # TensorFlow raises errors of many types.
                _loaded["problem"] = f"TensorFlow does not load the library: {error}"
    if "problem" in _loaded:
        raise BuildError(_loaded["problem"])  # A new one each time, because a traceback keeps its frames alive.
    return _loaded["ops"]


def problem() -> str | None:
    """Returns why the ops cannot be built or loaded; None if they can. This builds and loads them."""
    try:
        load()
    except BuildError as error:
        return str(error)
    return None


def _build(tools: Toolchain, directory: str) -> str:
    """Compiles in `directory`, two sources at a time, and returns the library's path."""
    # The flags of TensorFlow 2 name the C++ standard that its headers need. The headers of 1.15 pass strings as views
    # up to C++14 only.
    ops = ["-std=c++14"] + tools.compile_flags + _OPS_FLAGS
    abi = [flag for flag in tools.compile_flags if "_GLIBCXX_USE_CXX11_ABI" in flag]
    jobs, objects = [], []
    for name in _files(".cc"):
        flags = ops if name.startswith("op") else _KERNEL_FLAGS + abi
        objects.append(os.path.join(directory, name + ".o"))
        jobs.append(tools.command + flags + _SHARED + ["-c", os.path.join(SOURCE_DIRECTORY, name), "-o", objects[-1]])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(_output, jobs))
    library = os.path.join(directory, "native.so")
    _output(tools.command + ["-shared", "-o", library] + objects + tools.link_flags)
    return library


def _output(command: list[str]) -> str:
    """What a command prints; raises BuildError with its output if it fails."""
    english = dict(os.environ, LC_ALL="C")  # The compiler's version is part of the hash in the library's name.
    try:
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=english)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error}") from error
    text = process.stdout.decode(errors="replace")
    if process.returncode:
        said = text[-4000:].strip() or "nothing"
        raise BuildError(f"{command[0]} failed with status {process.returncode} and said: {said}")
    return text


def _files(*endings: str) -> list[str]:
    return sorted(name for name in os.listdir(SOURCE_DIRECTORY) if name.endswith(endings))


def _processor() -> tuple[str, ...]:
    """The machine and, if the system tells, the features of its processor."""
    description = [platform.machine()]
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = [line for line in file if line.startswith(("model name", "flags", "CPU part", "Features"))]
        description += sorted(set(lines))
    return tuple(description)


def _is_private(directory: os.stat_result) -> bool:
    """Whether a directory, given by its `os.stat`, belongs to the user or root and nobody else may write there."""
    owners = (os.getuid(), 0) if hasattr(os, "getuid") else (directory.st_uid,)
    return directory.st_uid in owners and not directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_complete(library: str) -> bool:
    """Whether the file exists and ends with the hash of the rest of it."""
    try:
        with open(library, "rb") as file:
            contents = file.read()
    except OSError:
        return False
    return len(contents) > 32 and hashlib.sha256(contents[:-32]).digest() == contents[-32:]


@contextlib.contextmanager
def _lock(path: str) -> Iterator[None]:
    """A lock that one process at a time holds. The system releases it if that process dies."""
    with open(path, "w") as file:
        # On a file system without locks several processes may build. The last one's file stays; all are equally good.
        with contextlib.suppress(OSError):
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
