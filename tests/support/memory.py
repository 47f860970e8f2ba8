"""Keeps the process of the tests small, so that its garbage collector has little to look at."""

import contextlib
import gc

from tensorflow.python.framework import ops

_registry = vars(ops).get("gradient_registry") or ops._gradient_registry  # The second is that of TensorFlow 1.15.


def configure_collector():
    """What the imports made stays to the end, so the collector leaves it out. It waits for more new objects.

    The default is to wait for 700, which TensorFlow makes for a few ops.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10000, 10, 10)


@contextlib.contextmanager
def custom_gradients_forgotten():
    """Forgets the gradients of `tf.custom_gradient` at the end. TensorFlow would keep them, with their graphs."""
    names = set(_registry.list())
    yield
    for name in set(_registry.list()) - names:
        if name.startswith("CustomGradient-"):
            del _registry._registry[name]
