"""`Library`: a shared library that is built at its first use.

The name of the built file is a hash of everything it depends on: sources, other libraries, compiler, processor. The
file is written under another name and then renamed. It ends with a hash of its own contents, so that an incomplete file
is built again. If the environment names a library, that one is taken instead, and nothing is built.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import time
from typing import Callable, NamedTuple, Sequence

from stacked_lstm.compilation import cache_folder, compiler
from stacked_lstm.compilation.compiler import BuildError, Toolchain
from stacked_lstm.files.temporary_folders import temporary_folder

_LOG = logging.getLogger("stacked_lstm")


class Library(NamedTuple):
    """A shared library.

    Fields:
      name: the first part of the name of its file.
      title: what the log calls it, such as "the native engine".
      variable: the environment variable that may name a built library.
      sources: the paths of the files to compile.
      toolchain: function without arguments that returns the `Toolchain`, or raises BuildError.
      header_folders: the paths from which the files include headers. The library depends on all headers below them.
      op_sources: the paths of the files to compile that have TensorFlow's ops. Their folder is one of `header_folders`.
    """

    name: str
    title: str
    variable: str
    sources: Sequence[str]
    toolchain: Callable[[], Toolchain]
    header_folders: Sequence[str] = ()
    op_sources: Sequence[str] = ()

    def cache_path(self, tools: Toolchain) -> str:
        """Returns the path where the cache keeps the library that `tools` build."""
        return os.path.join(cache_folder.path(), self._file_name(tools))

    def find_or_build(self) -> tuple[str, bool]:
        """Returns (path of the library, whether this call built it).

        Raises:
          BuildError: there is no compiler, the compiler fails or takes too long, another process takes too long to
            build the same library, or there is no place to keep it.
        """
        path = os.environ.get(self.variable)
        if path:
            if not cache_folder.is_library(path):
                raise BuildError(f"{self.variable} names no library that this package built: {path!r}")
            return os.path.abspath(path), False
        try:
            return self._find_or_build_in_cache(self.toolchain())
        except OSError as error:
            advice = f"set {cache_folder.VARIABLE} to another directory"
            raise BuildError(f"the library cannot be kept: {error}; {advice}") from error

    def _find_or_build_in_cache(self, tools: Toolchain) -> tuple[str, bool]:
        directory, name = cache_folder.path(), self._file_name(tools)
        path = os.path.join(directory, name)
        with cache_folder.opened(directory) as folder:
            if cache_folder.has_library(name, folder):
                return path, False
            with cache_folder.locked(name + ".lock", folder):
                if cache_folder.has_library(name, folder):  # Another process was faster.
                    return path, False
                text = "stacked_lstm: building %s with %s, as %s; this happens once, and takes 10 to 60 s"
                _LOG.warning(text, self.title, " ".join(tools.command), path)
                start = time.monotonic()
                with temporary_folder(directory, "build-") as temporary:
                    build = compiler.build(tools, self.sources, self.op_sources, self.header_folders, temporary)
                    cache_folder.complete(build)
                    os.replace(build, name, dst_dir_fd=folder)
                _LOG.warning("stacked_lstm: %s was built in %.0f s", self.title, time.monotonic() - start)
        return path, True

    def _file_name(self, tools: Toolchain) -> str:
        digest = hashlib.sha256(repr(tuple(tools)).encode())
        paths = [*self.sources, *self.op_sources]
        for folder in self.header_folders:
            paths += sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*.h"), recursive=True))
        for path in [*paths, compiler.__file__]:  # That one has the flags.
            with open(path, "rb") as source:
                digest.update(os.path.basename(path).encode() + b"\0" + source.read() + b"\0")
        return f"{self.name}-{digest.hexdigest()[:32]}.so"
