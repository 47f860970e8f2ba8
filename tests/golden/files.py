"""What the generators share: sizes, random numbers, and where files go."""

import os
import zlib

import numpy as np

BATCH, TIME, INPUT, UNITS = 3, 5, 3, (4, 5)


def path(*names):
    """Path below this folder; makes the folders on the way."""
    joined = os.path.join(os.path.dirname(os.path.abspath(__file__)), *names)
    os.makedirs(os.path.dirname(joined), exist_ok=True)
    return joined


def random_of(name):
    """A generator of its own for each name, so that a new one leaves the others as they are."""
    return np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)


def numbered(prefix, arrays):
    """`<prefix>/0` and so on -> array."""
    return {f"{prefix}/{k}": array for k, array in enumerate(arrays)}
