"""Which ops draw the random masks of a call: those of the `native` engine, or TensorFlow's.

The ops of `native` draw the masks if that engine runs the layers, and could run them at the place of the masks, too.
Graphs of other engines have only TensorFlow's ops, which every program can run.
"""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Sequence

from stacked_lstm import dropout_masks
from stacked_lstm.compat import tf
from stacked_lstm.engines import native
from stacked_lstm.engines.native import random_masks
from stacked_lstm.engines.place import Place
from stacked_lstm.layer import Layer


def drawn_for(engine: str, layers: Callable[[], Sequence[Layer]], devices: Sequence[Any] = ()) -> ContextManager[None]:
    """Returns a context in which masks are drawn for layers.

    Args:
      engine: the name that a `Request` has: "auto", or the name of an engine.
      layers: function without arguments, which returns a list of `Layer`. It is called if a mask is
        drawn. Masks of the layers need not be there yet, but something in their places.
      devices: what `tf.device` takes, where some of the layers run.
    """
    names = {"auto": native.ENGINE.objection, native.ENGINE.name: native.ENGINE.problem}
    condition = names.get(engine)

    def choose_drawer() -> dropout_masks.Drawer | None:
        is_native = condition is not None and _is_met(condition, layers(), devices)
        return random_masks.draw if is_native else None

    return dropout_masks.drawn_by(choose_drawer)


def _is_met(condition: Callable, layers: Sequence[Layer], devices: Sequence[Any]) -> bool:
    """Whether a condition is met by layers here, and on each of the devices."""
    if condition(layers, Place()) is not None:
        return False
    for device in devices:
        with tf.device(None), tf.device(device):
            if condition(layers, Place()) is not None:
                return False
    return True
