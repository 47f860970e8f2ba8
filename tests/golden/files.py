"""What the generators share: sizes, random numbers, and paths of files."""

import os
import zlib

import numpy as np

BATCH, TIME, INPUT, UNITS = 3, 5, 3, (4, 5)


def path(*names):
    """Path below this folder; makes missing folders."""
    joined = os.path.join(os.path.dirname(os.path.abspath(__file__)), *names)
    os.makedirs(os.path.dirname(joined), exist_ok=True)
    return joined


def random_state(name):
    """A generator seeded by a name, so that a new case does not change the numbers of the others."""
    return np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)


def numbered(prefix, arrays):
    """Dictionary from `<prefix>/0` and so on to arrays."""
    return {f"{prefix}/{k}": array for k, array in enumerate(arrays)}
