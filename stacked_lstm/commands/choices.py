"""The values of flags that name things of the package, without TensorFlow, so that `--help` answers at once.

tests/scripts/test_choices.py checks that they are those that the package has.
"""

from __future__ import annotations

ENGINES = ("auto", "cudnn", "native", "graph")  # In the order in which "auto" asks them.
INITIAL_STATES = ("learned", "projected", "zeros")
DTYPES = ("bfloat16", "float16", "float32", "float64")
WEIGHT_INITIALIZERS = (
    "dl",
    "glorot_bengio",
    "glorot_normal",
    "glorot_uniform",
    "he",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "tn",
    "xavier",
    "zeros",
)
