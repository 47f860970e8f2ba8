"""What a layer may have beyond the plain LSTM. Engines and file formats name the features that they lack, or have."""

from __future__ import annotations

from typing import Callable, Collection, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.lstm.layer import Layer

_Has = Callable[[Layer], bool]


def _field(name: str) -> _Has:
    return lambda layer: getattr(layer, name) is not None


def _noise(name: str) -> _Has:
    return lambda layer: name in layer.noise.present


def _extra(name: str) -> _Has:
    return lambda layer: getattr(layer.extras, name) is not None


def _zoneout(name: str, is_tensor: bool) -> _Has:
    return lambda layer: _noise(name)(layer) and tf.is_tensor(getattr(layer.noise, name)) == is_tensor


EQUATION = "a step with another equation"
RECURRENT_DROPOUT = "recurrent dropout"
C_MASKS, H_MASKS = "dropout on c with a mask per step", "dropout on h with a mask per step"
H_MASK = "dropout on h with one mask for all steps"
NORM = "layer normalization"
RESETS = "resets"
ZONEOUT_C, ZONEOUT_H = "zoneout of c", "zoneout of h"  # By a number, as with `training=False`.
CANDIDATE_DROPOUT = "recurrent dropout of the candidate"
UNDRAWN_MASKS = "masks of the candidate that are still to be drawn"
PEEPHOLES, CELL_CLIP = "peepholes", "a clip of the cell state"
PROJECTION, PROJECTION_CLIP = "a projection", "a clip of the projection"
EXTRAS = (PEEPHOLES, CELL_CLIP, PROJECTION, PROJECTION_CLIP)  # The features in `Layer.extras`.
RESIDUAL = "a residual connection"

# Feature, as messages name it -> whether a layer has it. A new field of `Layer`, `Extras` or `Noise` gets an entry.
# Engines and formats that list what they support then refuse it.
FEATURES: dict[str, _Has] = {
    EQUATION: _field("step"),
    RECURRENT_DROPOUT: _noise("recurrent"),
    "dropout on c": _noise("cell"),
    C_MASKS: _field("draw_c_masks"),
    H_MASKS: _field("draw_h_masks"),
    H_MASK: _field("h_mask"),
    NORM: _field("norm"),
    RESETS: _field("resets"),
    ZONEOUT_C: _zoneout("zoneout_c", is_tensor=False),
    ZONEOUT_H: _zoneout("zoneout_h", is_tensor=False),
    "zoneout of c by a tensor": _zoneout("zoneout_c", is_tensor=True),
    "zoneout of h by a tensor": _zoneout("zoneout_h", is_tensor=True),
    CANDIDATE_DROPOUT: lambda layer: "candidate" in layer.noise.present or layer.draw_candidate_masks is not None,
    UNDRAWN_MASKS: _field("draw_candidate_masks"),
    PEEPHOLES: _extra("peepholes"),
    CELL_CLIP: _extra("cell_clip"),
    PROJECTION: _extra("projection"),
    PROJECTION_CLIP: _extra("projection_clip"),
    RESIDUAL: lambda layer: layer.residual,
}


def all_except(*features: str) -> list[str]:
    """Returns all features except these."""
    return [feature for feature in FEATURES if feature not in features]


def present(layers: Sequence[Layer], features: Collection[str]) -> list[str]:
    """Returns the given features that at least one layer has."""
    return [feature for feature in features if any(FEATURES[feature](layer) for layer in layers)]
