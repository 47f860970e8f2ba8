"""What tests of `stacked_lstm.runtime` need: compiled kernels."""

import pytest

from stacked_lstm.runtime import kernels

NEEDS_KERNELS = pytest.mark.skipif(kernels.problem() is not None, reason=f"no kernels here: {kernels.problem()}")
