"""Marks for tests that TensorFlow 1.15 cannot run."""

import pytest

from stacked_lstm.compat import tf

OLD = tf.__version__.startswith("1.")

NEEDS_BFLOAT16 = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 has no gradients of bfloat16")
NEEDS_RECOMPUTE_GRAD = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 has another `recompute_grad`")
