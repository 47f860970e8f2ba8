"""Slots: what an optimizer keeps for each variable, such as Adam's averages. They are converted with the variable.

A slot is a variable of the same shape. It is called <variable>/<slot>, in TensorFlow 1 also <scope>/<variable>/<slot>.
Its numbers have the order of the variable's numbers. A slot of gradients contains no forget bias. A moving average of
the variable itself does; it is known by its slot's name, which the program may have chosen.
"""

from __future__ import annotations

from typing import Any, Collection, Mapping, Sequence

import numpy as np

from stacked_lstm import layouts
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location, Weights, fits
from stacked_lstm.checkpoints.stacks import with_biases_at

AVERAGES = ("ExponentialMovingAverage",)


def with_slots(
    layers: Sequence[CheckpointLayer], arrays: Mapping[str, np.ndarray]
) -> tuple[list[CheckpointLayer], set[str]]:
    """The layers with their slots, from all arrays of a file.

    A slot counts only if every variable of the layer has it.

    Args:
      layers: layers without slots.
      arrays: mapping from names to arrays of the whole file.

    Returns:
      The layers with slots, and the names of all arrays that belong to a layer, to its initial state, or to a slot.
    """
    slot_names = _slot_names(layers, arrays)
    used = {name for layer in layers for name in layer.location.array_names.values()}
    used.update(name for layer in layers for name in layer.location.initial_state.values())
    complete = []
    for layer, names_by_slot in zip(layers, slot_names):
        slots = {}
        for slot, names in names_by_slot.items():
            if set(names) == set(layer.location.array_names) and fits(names, arrays, layer.layout):
                slots[slot] = layouts.unpack({key: arrays[name] for key, name in names.items()}, layer.layout, 0.0)
                used.update(names.values())
        complete.append(layer._replace(slots=slots))
    return complete, used


def _slot_names(layers: Sequence[CheckpointLayer], arrays: Mapping[str, Any]) -> list[dict[tuple[str, str], dict]]:
    """For each layer: (outer scope, slot) -> the layout's array name -> the slot's name in the file."""
    owners = {name: (k, key) for k, layer in enumerate(layers) for key, name in layer.location.array_names.items()}
    slot_names: list[dict[tuple[str, str], dict]] = [{} for _ in layers]
    for name in arrays:
        if name in owners:
            continue
        variable, _, slot = name.rpartition("/")
        parts = variable.split("/")
        for start in range(len(parts)):
            owner = owners.get("/".join(parts[start:]))
            if owner is not None:
                k, key = owner
                slot_names[k].setdefault(("/".join(parts[:start]), slot), {})[key] = name
                break
    return slot_names


def pack_slots(
    layer: CheckpointLayer, location: Location, forget_bias: float, averages: Collection[str]
) -> dict[str, np.ndarray]:
    """The slots of a layer as arrays of a TensorFlow checkpoint.

    Args:
      layer: the layer.
      location: where the layer's variables will be.
      forget_bias: what is added to the forget gate at run time there.
      averages: names of the slots that are averages of the variables.

    Returns:
      Dictionary from names in the checkpoint to arrays.
    """
    arrays: Weights = {}
    for (scope, slot), weights in layer.slots.items():
        weights = with_biases_at(location, weights)
        change = forget_bias - layer.forget_bias if slot in averages else 0.0
        packed = layouts.pack(weights, location.layout, change)
        for key, name in location.array_names.items():
            arrays["/".join([scope] * bool(scope) + [name, slot])] = packed[key]
    return arrays
