"""The options of StackedLSTM whose cost the benchmark measures, and a shape with one of them. No TensorFlow here."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from benchmarking.subjects import shapes
from benchmarking.subjects.shapes import Shape
from shared.options import chosen_names

RATE = 0.5  # Of dropout; zoneout keeps a tenth.
CLIP = 3.0
FED_ONE = "dropout_fed_one"  # A DropoutWrapper whose keep probability is a placeholder that is fed 1: cells and loops.
SHAPES = "35,20,200,200,2;35,20,650,650,2;28,128,28,256,1"

# Arguments of StackedLSTM, and the peers that have the option. "dropout" and "projection" depend on the shape.
OPTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "dropout": ({}, ("pytorch", "tf_keras", "cells")),
    FED_ONE: ({}, ("cells",)),
    "recurrent_dropout": ({"recurrent_dropout": RATE}, ("tf_keras", "cells")),
    "recurrent_dropout_candidate": (
        {"recurrent_dropout": RATE, "recurrent_dropout_kind": "candidate"},
        ("cells",),
    ),
    "zoneout": ({"zoneout_c": 0.1, "zoneout_h": 0.1}, ()),
    "layer_norm": ({"layer_norm": True}, ("cells",)),
    "layer_norm_dropout": (
        {"layer_norm": True, "recurrent_dropout": RATE, "recurrent_dropout_kind": "candidate"},
        ("cells",),
    ),
    "residual": ({"residual": True}, ("cells",)),
    "peepholes": ({"peepholes": True}, ("cells",)),
    "projection": ({}, ("pytorch", "cells")),
    "clips": ({"cell_clip": CLIP}, ("cells",)),
    "activation": ({"activation": "relu"}, ("tf_keras", "cells")),
    "reset": ({}, ()),
    "bidirectional": ({}, ("pytorch", "tf_keras", "cells")),
    "bidirectional_stacks": ({"stacking": "stacks"}, ()),  # Twice the work of one direction, with any number of layers.
}
# Contestant that is not an engine -> its name in `OPTIONS`.
_PEERS = {"pytorch": "pytorch", "tf_keras": "tf_keras", "stepwise": "cells", "tensorflow": "cells"}


class OptionAt(NamedTuple):
    """An option at a shape."""

    name: str
    shape: Shape

    def arguments(self) -> dict[str, Any]:
        """What StackedLSTM gets."""
        if self.name == "dropout":
            return {"dropout" if self.shape.layers > 1 else "input_dropout": RATE}
        if self.name == "projection":
            return {"projection_size": max(self.shape.hidden_size // 4, 1)}
        return OPTIONS[self.name][0]

    def has(self, contestant: str) -> bool:
        """Whether a contestant has the option; PyTorch drops only between layers."""
        if (contestant, self.name, self.shape.layers) == ("pytorch", "dropout", 1):
            return False
        return contestant not in _PEERS or _PEERS[contestant] in OPTIONS[self.name][1]


def random_input(option: OptionAt) -> np.ndarray:
    """The input of the shape."""
    return shapes.random_input(option.shape)


def parse(names: list[str], text: str) -> list[OptionAt]:
    """Returns options at shapes; "all" stands for all options. A residual needs as many inputs as units.

    Raises:
      ValueError: there is no such option, or a shape is wrong.
    """
    chosen, rows = chosen_names("options", names, OPTIONS), []
    for shape in shapes.parse_shapes(text):
        for name in chosen:
            if name == "residual" and shape.input_size != shape.hidden_size:
                print(f"residual is left out at {shape}, because the widths differ", file=sys.stderr)
            else:
                rows.append(OptionAt(name, shape))
    if not rows:
        raise ValueError(f"--shapes: expected as many inputs as units for a residual, got {text}")
    return rows
