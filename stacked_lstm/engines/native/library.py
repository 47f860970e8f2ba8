"""The compiled ops: built by the compiler on this machine at first use, kept in a directory of the user's.

The file's name is a hash of all it depends on: sources, TensorFlow, compiler, processor. It is written under another
name and renamed, and ends with a hash of its own contents, so that whatever is not whole is built again.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import logging
import os
import platform
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
_COMPILERS = ("g++", "clang++", "c++")
# TensorFlow's headers want its own flags, and nothing about the processor, which would change their memory layout.
_KERNEL_FLAGS = ["-std=c++17", "-O3", "-Wall", "-march=native"]
_OPS_FLAGS = ["-w", "-O2"]
_SHARED = ["-fPIC", "-fvisibility=hidden"]

_LOG = logging.getLogger("stacked_lstm")

Toolchain = collections.namedtuple("Toolchain", ["compiler", "version", "compile_flags", "link_flags", "processor"])
Toolchain.__doc__ = """What builds the library, and for what.

Fields:
  compiler, version: its path, and what it says of itself.
  compile_flags, link_flags: TensorFlow's.
  processor: the machine and what it can do.
"""


class BuildError(Exception):
    """The library cannot be built or loaded; the message says why, in the compiler's words if there are any."""


def toolchain():
    """Returns the `Toolchain` of this machine; raises BuildError where there is none."""
    asked = os.environ.get("CXX")
    names = [asked] if asked else _COMPILERS
    compiler = next(filter(None, (shutil.which(name) for name in names)), None)
    if compiler is None:
        raise BuildError("there is no C++ compiler: expected %s" % (
            "the CXX of the environment, %r" % asked if asked else "one of %s on the path" % ", ".join(_COMPILERS)
        ))  # fmt: skip
    version = _output([compiler, "--version"])
    flags = tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags()
    return Toolchain(compiler, version, flags[0], flags[1], _processor())


def cache_directory():
    """Returns the directory of the built libraries, made if it is not there; raises BuildError unless it is private."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = os.environ.get(CACHE_VARIABLE) or os.path.join(base, "stacked_lstm")
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        found = os.stat(directory)
    except OSError as error:
        raise BuildError("expected a directory to build in, got %s" % error) from error
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise BuildError("expected %s to be the user's own and closed to others' writing" % directory)
    return directory


def path(tools):
    """Where the library that `tools` build is kept."""
    named = hashlib.sha256(repr((tf.__version__, tf.version.GIT_VERSION, tuple(tools))).encode())
    for name in _files(".h", ".cc", "library.py"):  # This file has the flags.
        with open(os.path.join(HERE, name), "rb") as source:
            named.update(name.encode() + b"\0" + source.read() + b"\0")
    return os.path.join(cache_directory(), "native-%s.so" % named.hexdigest()[:32])


def built():
    """Returns (path of the library, whether this call built it).

    Raises:
      BuildError: no compiler, or it fails.
    """
    tools = toolchain()
    library = path(tools)
    if _is_whole(library):
        return library, False
    with _lock(library + ".lock"):
        if _is_whole(library):  # Another process was faster.
            return library, False
        _LOG.warning("stacked_lstm: building the native engine once, with %s, as %s", tools.compiler, library)
        with tempfile.TemporaryDirectory(prefix="build-", dir=os.path.dirname(library)) as directory:
            made = _build(tools, directory)
            with open(made, "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
            with open(made, "ab") as file:
                file.write(digest)
            os.replace(made, library)
    return library, True


_loading = threading.Lock()
_loaded = {}


def load():
    """Returns the module of ops, built if need be. The outcome is remembered, also a failure.

    Raises:
      BuildError: it cannot be built or loaded.
    """
    with _loading:
        if "ops" not in _loaded:
            try:
                library, _ = built()
                _loaded["ops"] = tf.load_op_library(library)
            except BuildError as error:
                _loaded["ops"] = error
            except Exception as error:  # Whatever TensorFlow has against the library.
                _loaded["ops"] = BuildError("TensorFlow does not load the library: %s" % error)
            if isinstance(_loaded["ops"], BuildError):
                _LOG.warning("stacked_lstm: it goes on without the native engine: %s", _loaded["ops"])
        if isinstance(_loaded["ops"], BuildError):
            raise _loaded["ops"]
        return _loaded["ops"]


def _build(tools, directory):
    """Compiles in `directory`, two sources at a time, and returns the library's path."""
    # TensorFlow 2 names the standard that its headers need; those of 1.15 pass strings as views up to C++14 only.
    ops = ["-std=c++14"] + tools.compile_flags + _OPS_FLAGS
    abi = [flag for flag in tools.compile_flags if "_GLIBCXX_USE_CXX11_ABI" in flag]
    jobs, objects = [], []
    for name in _files(".cc"):
        flags = ops if name.startswith("op") else _KERNEL_FLAGS + abi
        objects.append(os.path.join(directory, name + ".o"))
        jobs.append([tools.compiler] + flags + _SHARED + ["-c", os.path.join(HERE, name), "-o", objects[-1]])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(_output, jobs))
    library = os.path.join(directory, "native.so")
    _output([tools.compiler, "-shared", "-o", library] + objects + tools.link_flags)
    return library


def _output(command):
    """What a command prints; raises BuildError with its words if it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise BuildError("%s: %s" % (command[0], error)) from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise BuildError("%s\nexited with %d and said:\n%s" % (" ".join(command), done.returncode, text[-4000:]))
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
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
