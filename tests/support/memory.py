"""Keeps the process of the tests small, so that its garbage collector has little to look at."""

import contextlib
import gc

from tensorflow.python.framework import ops

_registry = vars(ops).get("gradient_registry") or ops._gradient_registry  # The second is that of TensorFlow 1.15.


def freeze_imports():
    """Takes all objects that exist from the garbage collector; what the imports made stays to the end anyway."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def custom_gradients_forgotten():
    """Forgets the gradients of `tf.custom_gradient` at the end. TensorFlow would keep them, with their graphs."""
    names = set(_registry.list())
    yield
    for name in set(_registry.list()) - names:
        if name.startswith("CustomGradient-"):
            del _registry._registry[name]
