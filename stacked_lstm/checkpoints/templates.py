"""The `Plan` of a copy of a template with other layers."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints import initial_states, packed_layers, stacks
from stacked_lstm.checkpoints.formats import Format
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location, Weights
from stacked_lstm.checkpoints.plans import Plan
from stacked_lstm.checkpoints.reading import load, select_layers
from stacked_lstm.checkpoints.safety.files import Content
from stacked_lstm.layer_arrays import check_activations


def plan(
    entry: Format,
    path: str,
    layers: Sequence[CheckpointLayer],
    initial_state: Sequence[Mapping[str, Any]] | None,
    *,
    template: str,
    template_names: str | None,
    layout: str | None,
    forget_bias: float | None,
    max_bytes: int | None,
    activations: tuple[str, str] | None,
) -> Plan:
    """Returns the `Plan` of a copy of a template.

    Args:
      entry: the `Format` of both files.
      path, layers, initial_state, template, template_names, forget_bias, max_bytes: as for `writing.write`.
      layout: the layout of the layers to replace; None for all layouts of the format.
      activations: the names of the activations of the layers; None if they are not known.
    """
    states = initial_states.states_of(layers, initial_state)
    _check_suffix(entry, path, template)
    content = load(entry.codec(), template, max_bytes)
    check_activations(activations, entry.codec().activations(content.arrays), "checkpoints.write")
    locations = _fill(entry, layers, layout, forget_bias, template, template_names, content)
    if initial_state is not None and not any(states):
        states = initial_states.zeros_at(locations, content.arrays)
    content.arrays.update(initial_states.arrays_for_template(layers, states, locations, content.arrays))
    return Plan(path, entry.codec(), content, locations)


def _check_suffix(entry: Format, path: str, template: str) -> None:
    """Raises ValueError if path and template have different suffixes of their format."""
    suffixes = [next((s for s in entry.suffixes if name.endswith(s)), "") for name in (path, template)]
    if suffixes[0] != suffixes[1]:
        expected = f"`template` to have the suffix {suffixes[0]} of {path}"
        checks.fail("checkpoints.write", expected, template)


def _fill(
    entry: Format,
    layers: Sequence[CheckpointLayer],
    layout: str | None,
    forget_bias: float | None,
    template: str,
    names: str | None,
    content: Content,
) -> list[Location]:
    """Puts the arrays of the layers into the content of the template; returns their locations."""
    locations, _ = select_layers(entry.codec(), content, template, layout, names, "template_names")
    if [location.direction for location in locations] != [layer.direction for layer in layers]:
        targets, sources = (
            ", ".join(f"{item.name} {item.direction}" for item in items) for items in (locations, layers)
        )
        checks.fail("checkpoints.write", f"`layers` like those of {template} ({targets})", sources)
    packed = []
    for location, layer in zip(locations, layers):
        layer = layer._replace(weights=stacks.with_biases_at(location, layer.weights))
        packed.append(packed_layers.pack(layer, location.layout, forget_bias))
        _check_shapes(location, content, packed[-1], template)
    content.arrays.update(packed_layers.named_arrays(locations, packed))
    return locations


def _check_shapes(location: Location, content: Content, new: Weights, template: str) -> None:
    """Raises ValueError unless the new arrays of a layer have the keys, dtypes and shapes of those in the template."""
    old_shapes = _shapes({key: content.arrays[name] for key, name in location.array_names.items()})
    new_shapes = _shapes(new)
    keys = sorted({*old_shapes, *new_shapes})
    different = [key for key in keys if old_shapes.get(key) != new_shapes.get(key)]
    if different:
        expected, actual = (
            ", ".join(f"{key} {shapes.get(key, 'missing')}" for key in different) for shapes in (old_shapes, new_shapes)
        )
        checks.fail("checkpoints.write", f"arrays for {location.name} of {template}, {expected}", actual)


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {key: f"{array.dtype.name} {list(array.shape)}" for key, array in arrays.items()}
