"""The quick set of tests. `python -m pytest` runs it, `-m exhaustive` runs all other tests, `-m ""` runs all."""

import itertools

import pytest

EXHAUSTIVE = pytest.mark.exhaustive
ONCE = pytest.mark.once


def some(quick, every, oldest=None):
    """Cases for `parametrize`.

    Args:
      quick: list of those in the quick set; the others are exhaustive.
      every: list of all.
      oldest: list of those in the quick set of the oldest TensorFlow; None where that has no set of its own.
    """
    assert set(oldest or quick) <= set(quick) < set(every)

    def marks(case):
        return [EXHAUSTIVE] if case not in quick else [ONCE] if case not in (oldest or quick) else []

    return [pytest.param(*case, marks=marks(case)) for case in every]


# Initial state, lengths, time_major. The quick set has every pair of values.
LAYOUTS = some(
    [("zeros", False, False), ("zeros", True, True), ("learned", False, True), ("learned", True, False)]
    + [("projected", False, False), ("projected", True, True)],
    list(itertools.product(["zeros", "learned", "projected"], [False, True], [False, True])),
    oldest=[("learned", True, False), ("projected", True, True)],
)
