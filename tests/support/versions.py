"""What the lane of TensorFlow 1.15 lacks."""

import pytest

from stacked_lstm.compat import tf

OLD = tf.__version__.startswith("1.")

NEEDS_BFLOAT16 = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 has no gradients of bfloat16")
