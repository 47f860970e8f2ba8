"""Which tests are in the quick set, which `python -m pytest` runs; `-m exhaustive` runs the others, `-m ""` all."""

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
