"""Layers as the arrays of a file: in its layout, with its names."""

from __future__ import annotations

from typing import Sequence

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import stacks
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location, Weights, runtime_forget_bias
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.files import Arrays


def pack(layer: CheckpointLayer, layout: str, forget_bias: float | None) -> Weights:
    """A layer's arrays in a layout.

    Arrays that were read from cells are converted without their forget bias. If the new cells add the same one, no bias
    is rounded.
    """
    target_bias = runtime_forget_bias(layout, forget_bias)
    if target_bias and stacks.is_unchanged(layer):
        weights = layouts.unpack(layer.arrays, layer.layout, 0.0)
        return layouts.pack(weights, layout, target_bias - layer.forget_bias)
    return layouts.pack(layer.weights, layout, target_bias)


def named_arrays(locations: Sequence[Location], packed: Sequence[Weights]) -> Arrays:
    """Names in the file -> arrays; raises ValueError if layers that share an array have different numbers for it."""
    named: Arrays = {}
    for location, arrays in zip(locations, packed):
        for key, array in arrays.items():
            name = location.array_names[key]
            if name in named and not files.same_bits(named[name], array):
                checks.fail(
                    "checkpoints.write",
                    f"the same numbers for all layers that share {name}",
                    f"others for {location.name}",
                )
            named[name] = array
    return named
