"""`python -m stacked_lstm.runtime` builds the kernels before their first use, and says where they are."""

from __future__ import annotations

import sys
from typing import Sequence

from stacked_lstm.compilation import ahead_of_time
from stacked_lstm.runtime import library


def main(arguments: Sequence[str] = ()) -> int:
    """Returns the exit status: 0 if the library is there and can be loaded, else 1; see `ahead_of_time.run`."""
    return ahead_of_time.run(arguments, __doc__, library.LIBRARY, library.functions)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
