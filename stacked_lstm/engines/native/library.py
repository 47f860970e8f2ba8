"""The compiled ops: built by the compiler on this machine at first use, kept in a directory of the user's.

The file's name is a hash of all it depends on: sources, TensorFlow, compiler, processor. It is written under another
name and renamed, and ends with a hash of its own contents, so that whatever is not whole is built again. A file that
the environment names is loaded instead, and nothing is built.
"""

import collections
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

from stacked_lstm.compat import tf

try:
    import fcntl
except ImportError:  # Not on Windows, where there is nothing to build either.
    fcntl = None

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE_VARIABLE = "STACKED_LSTM_CACHE"
LIBRARY_VARIABLE = "STACKED_LSTM_NATIVE_LIBRARY"
_COMPILERS = ("g++", "clang++", "c++")
# TensorFlow's headers want its own flags, and nothing about the processor, which would change their memory layout.
_KERNEL_FLAGS = ["-std=c++17", "-O3", "-Wall", "-march=native"]
_OPS_FLAGS = ["-w", "-O2"]
_SHARED = ["-fPIC", "-fvisibility=hidden"]

_LOG = logging.getLogger("stacked_lstm")

Toolchain = collections.namedtuple("Toolchain", ["command", "version", "compile_flags", "link_flags", "processor"])
Toolchain.__doc__ = """What builds the library, and for what.

Fields:
  command, version: the compiler as a list of words, its path first, and what it says of itself.
  compile_flags, link_flags: TensorFlow's.
  processor: the machine and what it can do.
"""


class BuildError(RuntimeError):
    """The library cannot be built or loaded; the message says why, in the compiler's words if there are any."""


def toolchain():
    """Returns the `Toolchain` of this machine; raises BuildError where there is none."""
    command = _compiler()
    version = _output(command + ["--version"])
    flags = tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags()
    return Toolchain(command, version, flags[0], flags[1], _processor())


def _compiler():
    """The words of the CXX of the environment, such as "ccache g++" or "g++ -m64", or the first compiler there is."""
    asked = os.environ.get("CXX")
    try:
        commands = [shlex.split(asked)] if asked else [[name] for name in _COMPILERS]
    except ValueError as error:
        raise BuildError(f"expected a command as the CXX of the environment, got {asked!r}: {error}") from error
    for name, *rest in filter(None, commands):
        found = shutil.which(name)
        if found:
            return [found] + rest
    expected = f"the CXX of the environment, {asked!r}" if asked else f"one of {', '.join(_COMPILERS)} on the path"
    raise BuildError(f"there is no C++ compiler: expected {expected}")


def cache_directory():
    """Returns the directory of the built libraries, made if it is not there.

    Raises:
      BuildError: others than the user and root may write there, and so choose what code runs.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = os.environ.get(CACHE_VARIABLE) or os.path.join(base, "stacked_lstm")
    if not os.path.isabs(directory):  # Also where there is no home to stand for ~.
        raise BuildError(f"expected an absolute path of a directory to build in, got {directory!r}")
    os.makedirs(directory, 0o700, exist_ok=True)
    if not _is_closed(os.stat(directory)):
        raise BuildError(f"expected {directory} to be the user's own or root's and closed to others' writing")
    return directory


def path(tools):
    """Where the library that `tools` build is kept."""
    named = hashlib.sha256(repr((tf.__version__, tf.version.GIT_VERSION, tuple(tools))).encode())
    for name in _files(".h", ".cc", "library.py"):  # This file has the flags.
        with open(os.path.join(HERE, name), "rb") as source:
            named.update(name.encode() + b"\0" + source.read() + b"\0")
    return os.path.join(cache_directory(), f"native-{named.hexdigest()[:32]}.so")


def built():
    """Returns (path of the library, whether this call built it).

    Raises:
      BuildError: no compiler, or it fails; no place to keep the library.
    """
    given = os.environ.get(LIBRARY_VARIABLE)
    if given:
        if not _is_whole(given):
            raise BuildError(f"expected a library that this package built as {LIBRARY_VARIABLE}, got {given!r}")
        return os.path.abspath(given), False
    try:
        return _found_or_built(toolchain())
    except OSError as error:
        raise BuildError(f"the library can be neither found nor built: {error}") from error


def _found_or_built(tools):
    library = path(tools)
    if _is_whole(library):
        return library, False
    with _lock(library + ".lock"):
        if _is_whole(library):  # Another process was faster.
            return library, False
        _LOG.warning("stacked_lstm: building the native engine once, with %s, as %s", " ".join(tools.command), library)
        with tempfile.TemporaryDirectory(prefix="build-", dir=os.path.dirname(library)) as directory:
            made = _build(tools, directory)
            with open(made, "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
            with open(made, "ab") as file:
                file.write(digest)
            os.replace(made, library)
    return library, True


_loading = threading.Lock()
_loaded = {}  # Once it was tried: "ops" or the "problem".


def load():
    """Returns the module of ops, built if need be. The outcome is remembered, also a failure.

    Raises:
      BuildError: it cannot be built or loaded.
    """
    with _loading:
        if not ("ops" in _loaded or "problem" in _loaded):
            try:
                _loaded["ops"] = tf.load_op_library(built()[0])
            except BuildError as error:
                _loaded["problem"] = str(error)
            except Exception as error:  # Whatever TensorFlow has against the library.
                _loaded["problem"] = f"TensorFlow does not load the library: {error}"
    if "problem" in _loaded:
        raise BuildError(_loaded["problem"])  # A new one each time: a traceback keeps what it went through alive.
    return _loaded["ops"]


def problem():
    """Why the ops cannot be built or loaded; None where `load` returns them."""
    try:
        load()
    except BuildError as error:
        return str(error)
    return None


def _build(tools, directory):
    """Compiles in `directory`, two sources at a time, and returns the library's path."""
    # TensorFlow 2 names the standard that its headers need; those of 1.15 pass strings as views up to C++14 only.
    ops = ["-std=c++14"] + tools.compile_flags + _OPS_FLAGS
    abi = [flag for flag in tools.compile_flags if "_GLIBCXX_USE_CXX11_ABI" in flag]
    jobs, objects = [], []
    for name in _files(".cc"):
        flags = ops if name.startswith("op") else _KERNEL_FLAGS + abi
        objects.append(os.path.join(directory, name + ".o"))
        jobs.append(tools.command + flags + _SHARED + ["-c", os.path.join(HERE, name), "-o", objects[-1]])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(_output, jobs))
    library = os.path.join(directory, "native.so")
    _output(tools.command + ["-shared", "-o", library] + objects + tools.link_flags)
    return library


def _output(command):
    """What a command prints; raises BuildError with its words if it fails."""
    english = dict(os.environ, LC_ALL="C")  # What it says of its version is in the library's name.
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=english)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error}") from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\nexited with {done.returncode} and said:\n{text[-4000:]}")
    return text


def _files(*endings):
    return sorted(name for name in os.listdir(HERE) if name.endswith(endings))


def _processor():
    """The machine, and where it is known what its processor can do."""
    found = [platform.machine()]
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = [line for line in file if line.startswith(("model name", "flags", "CPU part", "Features"))]
        found += sorted(set(lines))
    return tuple(found)


def _is_closed(directory):
    """Whether a directory, by its `os.stat`, is the user's or root's, and nobody else may write there."""
    owners = (os.getuid(), 0) if hasattr(os, "getuid") else (directory.st_uid,)
    return directory.st_uid in owners and not directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_whole(library):
    """Whether the file is there and ends with the hash of the rest."""
    try:
        with open(library, "rb") as file:
            contents = file.read()
    except OSError:
        return False
    return len(contents) > 32 and hashlib.sha256(contents[:-32]).digest() == contents[-32:]


@contextlib.contextmanager
def _lock(name):
    """Held by one process at a time; given back by the system if that dies."""
    with open(name, "w") as file:
        # Where a file system has no locks, several processes may build: the last one's file stays, as good as any.
        with contextlib.suppress(OSError):
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
