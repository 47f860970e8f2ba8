"""Checks the layers that `write` takes, and gives them biases if the format has no layers without."""

from __future__ import annotations

import collections.abc
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location, Weights, layer_at
from stacked_lstm.checkpoints.safety.files import same_bits


def checkpoint_layers(layers: Any) -> list[CheckpointLayer]:
    """The argument `layers` of `write` as a list of `CheckpointLayer`.

    Args:
      layers: list of `CheckpointLayer`, or of mappings in the common form of `layouts.unpack`.

    Raises:
      ValueError: no list, an empty list, or entries that are not a layer's arrays.
    """
    if not isinstance(layers, (list, tuple)) or not layers:
        checks.fail("checkpoints.write", "`layers` to be a list of layers", checks.describe(layers))
    complete = []
    for k, layer in enumerate(layers):
        if not isinstance(layer, CheckpointLayer):
            if not isinstance(layer, collections.abc.Mapping):
                expected = f"`layers[{k}]` to be a CheckpointLayer or a mapping from names to arrays"
                hint = "; take get_weights(session).layers" if isinstance(layer, list) else ""
                checks.fail("checkpoints.write", expected, f"an object of the class {type(layer).__name__}{hint}")
            names = {name: name for name, array in layer.items() if array is not None}
            try:
                layer = layer_at(Location(f"layer_{k + 1}", "", layouts.OWN, names), layer, None)
            except ValueError as error:
                text = str(error).replace("layouts.unpack:", f"checkpoints.write, `layers[{k}]`:")
                raise ValueError(text) from None
        complete.append(layer)
    return complete


def is_unchanged(layer: CheckpointLayer) -> bool:
    """Whether the `weights` of a layer are still those that its `arrays` hold; users may have replaced them."""
    weights = layouts.unpack(layer.arrays, layer.layout, layer.forget_bias)
    return set(weights) == set(layer.weights) and all(same_bits(weights[name], layer.weights[name]) for name in weights)


def with_biases(weights: Mapping[str, np.ndarray]) -> Weights:
    """Weights in the common form, with zeros as biases if they have none."""
    if "bf" in weights:
        return dict(weights)
    zeros = np.zeros(weights["Wf"].shape[1:], weights["Wf"].dtype)
    names = ["b" + gate for gate in layouts.GATES] + ["shift_cell"] * ("gain_cell" in weights)
    return dict(weights, **dict.fromkeys(names, zeros))


def with_biases_at(location: Location, weights: Mapping[str, np.ndarray]) -> Weights:
    """Weights in the common form, with zeros as biases if they have none and the location has places for biases."""
    bias_names = {name for name, _ in layouts.LAYOUTS[location.layout].biases}
    return with_biases(weights) if bias_names & set(location.array_names) else dict(weights)


def one_stack(
    layers: Sequence[CheckpointLayer], has_directions: bool, always_has_biases: bool
) -> list[CheckpointLayer]:
    """The layers of a new file, with biases in all of them or in none.

    Args:
      layers: the layers from the input upwards.
      has_directions: whether the file says in which direction layers read, so that all must read forward.
      always_has_biases: whether the file's layers must have biases.

    Raises:
      ValueError: a layer does not fit on the one below, or directions or dtypes differ.
    """
    expected = "`layers` to be one stack"
    directions = {layer.direction for layer in layers}
    if len(directions) > 1 or (has_directions and directions != {"forward"}):
        condition = ", all forward" if has_directions else ", all of one direction"
        actual = ", ".join(f"{layer.name} {layer.direction}" for layer in layers)
        checks.fail("checkpoints.write", expected + condition, actual)
    if len({layer.weights["Wf"].dtype for layer in layers}) > 1:
        actual = ", ".join(f"{layer.name} {layer.weights['Wf'].dtype.name}" for layer in layers)
        checks.fail("checkpoints.write", "`layers` to have one dtype", actual)
    for below, above in zip(layers, layers[1:]):
        width = below.sizes.projection_size or below.sizes.hidden_size
        if above.sizes.input_size != width:
            actual = f"{below.name} of width {width} below {above.name}, whose input has width {above.sizes.input_size}"
            checks.fail("checkpoints.write", expected + ", each as wide as the next one's input", actual)
    if always_has_biases or any("bf" in layer.weights for layer in layers):  # Zeros are as good as no bias.
        return [layer._replace(weights=with_biases(layer.weights)) for layer in layers]
    return list(layers)
