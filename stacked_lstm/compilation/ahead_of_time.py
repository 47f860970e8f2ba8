"""The commands `python -m ...` that build a library before its first use."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Sequence

from stacked_lstm.compilation.compiler import BuildError
from stacked_lstm.compilation.library import Library


def run(arguments: Sequence[str], description: str, library: Library, load: Callable[[], Any]) -> int:
    """Runs a command, which takes no arguments except --help.

    Args:
      arguments: those of the command line.
      description: what --help prints.
      library, load: as for `build`.

    Returns:
      The exit status: that of `build`, 0 for --help, and 2 for other arguments.
    """
    if not arguments:
        return build(library, load)
    if list(arguments) in (["--help"], ["-h"]):
        print(description)
        return 0
    print(f"expected no arguments, got {' '.join(arguments)}", file=sys.stderr)
    return 2


def build(library: Library, load: Callable[[], Any]) -> int:
    """Builds and loads a library, and prints where it is and what built it.

    Args:
      library: the `Library`.
      load: function without arguments that loads it, or raises BuildError.

    Returns:
      The exit status: 0 if the library is there and can be loaded, else 1.
    """
    try:
        path, is_new = library.find_or_build()
        load()
    except BuildError as error:
        print(f"{library.title} is not available: {error}", file=sys.stderr)
        return 1
    print(f"{'built' if is_new else 'found'} {path}")
    if not os.environ.get(library.variable):  # It names a library that another machine may have built.
        tools = library.toolchain()
        print(f"by {' '.join(tools.command + tools.kernel_flags)} ({tools.version.splitlines()[0]})")
    return 0
