"""`python -m stacked_lstm.runtime` builds the kernels before their first use, and says where they are."""

from __future__ import annotations

import sys

from stacked_lstm.compilation.compiler import BuildError
from stacked_lstm.runtime import kernels


def main() -> int:
    """Returns the exit status: 0 if the library is there and can be loaded, else 1."""
    try:
        path, is_new = kernels.LIBRARY.find_or_build()
        kernels.functions()
    except BuildError as error:
        print(f"the kernels of stacked_lstm.runtime are not available: {error}", file=sys.stderr)
        return 1
    print(f"{'built' if is_new else 'found'} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
