"""The names that flags accept: engines, initial states, dtypes, initializers.

They are copies of the package's own tables, so that `--help` answers without TensorFlow. Whoever adds a name to the
package adds it here; `tests/scripts/test_choices.py` compares the tables.
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
