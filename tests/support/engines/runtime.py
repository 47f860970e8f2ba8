"""What tests of `stacked_lstm.runtime` need: compiled kernels."""

import pytest

from stacked_lstm.runtime import library

NEEDS_KERNELS = pytest.mark.skipif(library.problem() is not None, reason=f"no kernels here: {library.problem()}")
