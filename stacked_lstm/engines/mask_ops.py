"""The choice between the ops that draw the random masks of a call: those of the `native` engine, or TensorFlow's.

The ops of `native` draw the masks if this engine runs the layers and also supports the device of the masks. Graphs of
other engines have only TensorFlow's ops, so that every program can run them.
"""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import native
from stacked_lstm.engines.native import random_masks
from stacked_lstm.engines.place import Place
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.layer import Layer


def choose(engine: str, layers: Callable[[], Sequence[Layer]], devices: Sequence[Any] = ()) -> ContextManager[None]:
    """Returns a context that chooses the ops that draw the masks of layers.

    Args:
      engine: the name that a `Request` has: "auto", or the name of an engine.
      layers: function without arguments that returns a list of `Layer`. It is called for each mask. If a mask of a
        layer does not exist yet, any number takes its place.
      devices: the arguments of `tf.device` around parts of the layers.
    """
    names = {"auto": native.ENGINE.objection, native.ENGINE.name: native.ENGINE.problem}
    condition = names.get(engine)

    def choose_drawer() -> dropout_masks.Drawer | None:
        is_native = condition is not None and _is_met(condition, layers(), devices)
        return random_masks.draw if is_native else None

    return dropout_masks.use_drawer(choose_drawer)


def _is_met(condition: Callable, layers: Sequence[Layer], devices: Sequence[Any]) -> bool:
    """Whether layers meet a condition on the current device and on each of `devices`."""
    if condition(layers, Place()) is not None:
        return False
    for device in devices:
        with tf.device(None), tf.device(device):
            if condition(layers, Place()) is not None:
                return False
    return True
