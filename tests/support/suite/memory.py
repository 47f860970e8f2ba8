"""Keeps the process of the tests small, so that its garbage collector has little to look at."""

import gc


def configure_collector():
    """What the imports made stays to the end, so the collector leaves it out. It waits for more new objects.

    The default is to wait for 700, which TensorFlow makes for a few ops.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50000, 10, 10)
