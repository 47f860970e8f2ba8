"""What layers start from: zeros, learned vectors, or states that are projected from the first input.

The initial state of a layer is a dictionary of arrays, as `StackedLSTM.get_weights` returns it:

    zeros       empty
    learned     c [H] and h [P]
    projected   W_c and W_h: [I, H] and [I, P] in the lowest layer; [H of the layer below, H] and [P of the layer
                below, P] in the others

P is the width of h. It is H, or the width of the projection.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location, Weights

LEARNED, PROJECTED = ("c", "h"), ("W_c", "W_h")


def variable_names(stack: str, number: str) -> dict[str, str]:
    """The names that the variables of an initial state have, if there are any.

    Args:
      stack: scope of the StackedLSTM.
      number: number of the layer, from 1.
    """
    return {key: f"{stack}/initial_state/layer_{number}/{key}" for key in LEARNED + PROJECTED}


def states_of(layers: Sequence[CheckpointLayer], initial_state: Sequence[Mapping[str, Any]] | None) -> list[Weights]:
    """The initial state of every layer, complete and with shapes that fit.

    Args:
      layers: the layers from the input upwards.
      initial_state: a mapping for each layer; empty for zeros; None for those of the layers.

    Returns:
      A dictionary for each layer. All are empty, all are learned, or all are projected.

    Raises:
      ValueError: another number of mappings than of layers, or arrays that do not fit the layers.
    """
    if initial_state is None:
        states = [dict(layer.initial_state) for layer in layers]
        states = [
            {**_zeros(layer), **state} if set(state) & set(LEARNED) else state for layer, state in zip(layers, states)
        ]
        _check_lowest(layers)
    else:
        mappings = list(initial_state) or [{} for _ in layers]
        if len(mappings) != len(layers):
            expected = f"`initial_state` to have a mapping for each of {len(layers)} layers, or none"
            checks.fail("checkpoints.write", expected, len(mappings))
        states = [{key: np.asarray(array) for key, array in mapping.items()} for mapping in mappings]
    if any(set(state) == set(LEARNED) for state in states):
        states = [state or _zeros(layer) for layer, state in zip(layers, states)]
    names = PROJECTED if any("W_h" in state for state in states) else LEARNED if any(states) else ()
    below = (layers[0].sizes.input_size,) * 2
    for k, (layer, state) in enumerate(zip(layers, states)):
        widths = (layer.sizes.hidden_size, layer.sizes.projection_size or layer.sizes.hidden_size)
        rows, below = [(size,) if names == PROJECTED else () for size in below], widths
        shapes = [(*row, width) for row, width in zip(rows, widths)]
        expected_arrays = {key: (layer.weights["Wf"].dtype.name, shape) for key, shape in zip(names, shapes)}
        arrays = {key: (array.dtype.name, array.shape) for key, array in state.items()}
        if arrays != expected_arrays:
            checks.fail("checkpoints.write", f"`initial_state` to have {expected_arrays} for layer {k + 1}", arrays)
    return states


def _zeros(layer: CheckpointLayer) -> Weights:
    sizes = layer.sizes
    widths = {"c": sizes.hidden_size, "h": sizes.projection_size or sizes.hidden_size}
    return {key: np.zeros(width, layer.weights["Wf"].dtype) for key, width in widths.items()}


def _check_lowest(layers: Sequence[CheckpointLayer]) -> None:
    """Raises ValueError if a projected state would be projected from another layer's input than in the file."""
    names = [layer.location.initial_state.get("W_h", "") for layer in layers]
    numbers = [int(match.group(1)) for match in [re.search(r"layer_(\d+)/W_h$", name) for name in names] if match]
    if numbers and numbers != list(range(1, len(layers) + 1)):
        expected = "`layers` to begin with the lowest one, from whose input the initial states are projected"
        checks.fail("checkpoints.write", expected, ", ".join(layer.name for layer in layers))


def check_zeros(layers: Sequence[CheckpointLayer], states: Sequence[Weights], layout: str) -> None:
    """Raises ValueError if layers do not start from zeros.

    Args:
      layers, states: the layers and their initial states.
      layout: the layout of a new file, which has no place for initial states.
    """
    if any(states):
        _fail_without_place(layers, states, f"a new file with the layout {layout!r}")


def zeros_at(locations: Sequence[Location], arrays: Mapping[str, np.ndarray]) -> list[Weights]:
    """Initial states of zeros for all places of a template, which may have vectors or projections.

    Args:
      locations: the layers of the template.
      arrays: mapping from the names in the template to arrays.
    """
    return [
        {key: np.zeros_like(arrays[name]) for key, name in location.initial_state.items()} for location in locations
    ]


def arrays_for_template(
    layers: Sequence[CheckpointLayer],
    states: Sequence[Weights],
    locations: Sequence[Location],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The arrays that replace the initial states of a template; none if the layers start from zeros.

    Args:
      layers, states: the layers and their initial states.
      locations: the layers of the template.
      arrays: mapping from the names in the template to arrays.

    Raises:
      ValueError: the template has no place for them.
    """
    for state, location in zip(states, locations):
        places = {key: arrays[name].shape for key, name in location.initial_state.items()}
        if state and {key: array.shape for key, array in state.items()} != places:
            _fail_without_place(layers, states, f"{location.name} of the template")
    return named_arrays(states, locations)


def _fail_without_place(layers: Sequence[CheckpointLayer], states: Sequence[Weights], place: str) -> None:
    names = [
        layer.location.initial_state.get(key, f"{key} of {layer.name}")
        for layer, state in zip(layers, states)
        for key in state
    ]
    expected = f"`initial_state=[]`, since {place} has no place for initial states and its layers start from zeros"
    checks.fail("checkpoints.write", expected, ", ".join(sorted(names)))


def named_arrays(states: Sequence[Weights], locations: Sequence[Location]) -> dict[str, np.ndarray]:
    """Names in the file -> arrays of the initial states."""
    return {
        name: state[key]
        for state, location in zip(states, locations)
        for key, name in location.initial_state.items()
        if key in state
    }


def with_renamed_slots(
    arrays: Mapping[str, Any], layers: Sequence[CheckpointLayer], locations: Sequence[Location]
) -> dict[str, Any]:
    """Arrays of a TensorFlow checkpoint, where an optimizer's slots follow the initial states to their new names.

    Args:
      arrays: mapping from names to arrays.
      layers: the layers as they were read.
      locations: where they will be.
    """
    targets = {
        layer.location.initial_state[key]: target
        for layer, location in zip(layers, locations)
        for key, target in location.initial_state.items()
        if key in layer.location.initial_state
    }
    return {_renamed(name, targets): array for name, array in arrays.items()}


def _renamed(name: str, targets: Mapping[str, str]) -> str:
    for source, target in targets.items():
        if f"/{source}/" in "/" + name:
            return f"/{name}".replace(f"/{source}/", f"/{target}/", 1)[1:]
    return name
