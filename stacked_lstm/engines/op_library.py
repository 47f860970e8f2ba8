"""`OpLibrary`: a library of TensorFlow ops, which a process builds and loads at its first use."""

from __future__ import annotations

import threading
from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.compilation import compiler
from stacked_lstm.compilation.compiler import BuildError, Toolchain
from stacked_lstm.compilation.library import Library


def toolchain() -> Toolchain:
    """Returns the `Toolchain` of this machine, with TensorFlow's flags; raises BuildError if there is no compiler."""
    return compiler.toolchain(
        tf.sysconfig.get_compile_flags(),
        tf.sysconfig.get_link_flags(),
        f"TensorFlow {tf.__version__} {tf.version.GIT_VERSION}",
    )


class OpLibrary:
    """The ops of a `Library` in this process."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._loading = threading.Lock()
        self._loaded: dict[str, Any] = {}  # After the first attempt: "ops" or "problem".

    def load(self) -> Any:
        """Returns the module of ops, and builds it first if necessary. Later calls repeat the outcome, even a failure.

        Raises:
          BuildError: the library cannot be built or loaded.
        """
        with self._loading:
            if not self.is_decided:
                try:
                    path, _ = self.library.find_or_build()
                    self._loaded.update(ops=tf.load_op_library(path), path=path)
                except BuildError as error:
                    self._loaded["problem"] = str(error)
                except Exception as error:  # TensorFlow raises errors of many types.
                    self._loaded["problem"] = f"TensorFlow does not load the library: {error}"
        if "problem" in self._loaded:
            raise BuildError(
                self._loaded["problem"]
            )  # A new one each time, because a traceback keeps its frames alive.
        return self._loaded["ops"]

    @property
    def is_decided(self) -> bool:
        """Whether this process has loaded the ops, or has failed to load them."""
        return bool(self._loaded)

    @property
    def path(self) -> str:
        """The path of the library that `load` has loaded."""
        return self._loaded["path"]

    def forget(self) -> None:
        """Forgets the outcome, so that the next `load` tries again. Ops that are loaded stay registered."""
        self._loaded.clear()

    def problem(self) -> str | None:
        """Returns why the ops cannot be built or loaded; None if they can. This builds and loads them."""
        try:
            self.load()
        except BuildError as error:
            return str(error)
        return None
