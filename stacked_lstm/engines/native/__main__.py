"""`python -m stacked_lstm.engines.native` builds the native engine before its first use, and says where it is."""

from __future__ import annotations

import sys

from stacked_lstm.compilation import ahead_of_time
from stacked_lstm.engines.native import library


def main() -> int:
    """Returns the exit status: 0 if the library is there and can be loaded, else 1."""
    return ahead_of_time.build(library.LIBRARY, library.load)


if __name__ == "__main__":
    sys.exit(main())
