"""`python -m stacked_lstm.engines.native` builds the native engine before its first use, and says where it is."""

from __future__ import annotations

import os
import sys

from stacked_lstm.compilation.compiler import BuildError
from stacked_lstm.engines import op_library
from stacked_lstm.engines.native import library


def main() -> int:
    """Returns the exit status: 0 if the library is there and can be loaded, else 1."""
    try:
        path, is_new = library.LIBRARY.find_or_build()
        library.load()
    except BuildError as error:
        print(f"the native engine is not available: {error}", file=sys.stderr)
        return 1
    print(f"{'built' if is_new else 'found'} {path}")
    if not os.environ.get(library.LIBRARY_VARIABLE):  # It names a library that another machine may have built.
        tools = op_library.toolchain()
        print(f"by {' '.join(tools.command + tools.kernel_flags)} ({tools.version.splitlines()[0]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
