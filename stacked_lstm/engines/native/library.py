"""The compiled ops: the compiler on this machine builds them at their first use, and the user's cache keeps them.

The name of the built file is a hash of everything it depends on: sources, TensorFlow, compiler, processor. The file is
written under another name and then renamed. It ends with a hash of its own contents, so that an incomplete file is
built again. If the environment names a library, that one is loaded instead, and nothing is built.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.engines.native import cache_folder, compiler
from stacked_lstm.engines.native.compiler import SOURCE_DIRECTORY, BuildError, Toolchain, toolchain
from stacked_lstm.temporary_folders import temporary_folder

__all__ = [
    "CACHE_VARIABLE",
    "LIBRARY_VARIABLE",
    "SOURCE_DIRECTORY",
    "BuildError",
    "Toolchain",
    "cache_path",
    "find_or_build",
    "load",
    "problem",
    "toolchain",
]

CACHE_VARIABLE = cache_folder.VARIABLE
LIBRARY_VARIABLE = "STACKED_LSTM_NATIVE_LIBRARY"

_LOG = logging.getLogger("stacked_lstm")


def cache_path(tools: Toolchain) -> str:
    """Returns the path where the cache keeps the library that `tools` build."""
    return os.path.join(cache_folder.path(), _file_name(tools))


def _file_name(tools: Toolchain) -> str:
    digest = hashlib.sha256(repr((tf.__version__, tf.version.GIT_VERSION, tuple(tools))).encode())
    for name in compiler.sources(".h", ".cc", "compiler.py"):  # That one has the flags.
        with open(os.path.join(SOURCE_DIRECTORY, name), "rb") as source:
            digest.update(name.encode() + b"\0" + source.read() + b"\0")
    return f"native-{digest.hexdigest()[:32]}.so"


def find_or_build() -> tuple[str, bool]:
    """Returns (path of the library, whether this call built it).

    Raises:
      BuildError: there is no compiler, the compiler fails or takes too long, another process takes too long to build
        the same library, or there is no place to keep it.
    """
    library = os.environ.get(LIBRARY_VARIABLE)
    if library:
        if not cache_folder.is_library(library):
            raise BuildError(f"expected {LIBRARY_VARIABLE} to name a library that this package built, got {library!r}")
        return os.path.abspath(library), False
    try:
        return _find_or_build_in_cache(toolchain())
    except OSError as error:
        raise BuildError(f"the library can be neither found nor built: {error}") from error


def _find_or_build_in_cache(tools: Toolchain) -> tuple[str, bool]:
    directory, name = cache_folder.path(), _file_name(tools)
    library = os.path.join(directory, name)
    with cache_folder.opened(directory) as folder:
        if cache_folder.has_library(name, folder):
            return library, False
        with cache_folder.locked(name + ".lock", folder):
            if cache_folder.has_library(name, folder):  # Another process was faster.
                return library, False
            text = "stacked_lstm: building the native engine with %s, as %s; this happens once, and takes 10 to 60 s"
            _LOG.warning(text, " ".join(tools.command), library)
            start = time.monotonic()
            with temporary_folder(directory, "build-") as temporary:
                build = compiler.build(tools, temporary)
                cache_folder.complete(build)
                os.replace(build, name, dst_dir_fd=folder)
            _LOG.warning("stacked_lstm: the native engine was built in %.0f s", time.monotonic() - start)
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
