"""How messages describe a wrong value: itself if it is short, else its kind and size."""

import numpy as np
import pytest

from stacked_lstm import checks
from stacked_lstm.compat import tf


class LongName:
    def __repr__(self):
        return "x" * 81


@pytest.mark.parametrize(
    "value, text",
    [
        ("a", "'a'"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        (np.array([1, 2]), "array([1, 2])"),
        (np.zeros([100, 100], np.float32), "an array of dtype float32 and shape (100, 100)"),
        ([0.0] * 100, "a list of length 100"),
        ((0,) * 100, "a tuple of length 100"),
        ((np.zeros([9, 9]),) * 2, "(" + ", ".join(["an array of dtype float64 and shape (9, 9)"] * 2) + ")"),
        ({"Wf": np.zeros([9, 9]), "bf": np.zeros(9)}, "a mapping with the keys Wf, bf"),
        (LongName(), "an object of the class LongName"),
        (np.int8, "<class 'numpy.int8'>"),
    ],
)
def test_values(value, text):
    assert checks.describe(value) == text


def test_tensors():
    assert checks.describe(tf.zeros([2, 3])) == "a tensor of dtype float32 and shape (2, 3)"
    assert checks.describe([tf.zeros([2, 3])] * 9) == "a list of length 9"
