"""The `Plan` of a new file."""

from __future__ import annotations

from typing import Any, Collection, Mapping, Sequence

from stacked_lstm import checks
from stacked_lstm.checkpoints import initial_states, packed_layers, slots
from stacked_lstm.checkpoints.formats import Format
from stacked_lstm.checkpoints.layers import CheckpointLayer, Weights, runtime_forget_bias
from stacked_lstm.checkpoints.plans import Plan
from stacked_lstm.checkpoints.safety.files import Content


def plan(
    entry: Format,
    path: str,
    layers: Sequence[CheckpointLayer],
    states: Sequence[Weights],
    scope: str | None,
    forget_bias: float | None,
    other_arrays: Mapping[str, Any],
    averages: Collection[str],
) -> Plan:
    """Returns the `Plan` of a file without a template. `states` are the initial states of the layers."""
    if not entry.has_initial_states:
        initial_states.check_zeros(layers, states, entry.layout)
    packed = [packed_layers.pack(layer, entry.layout, forget_bias) for layer in layers]
    container, locations = entry.codec().create(packed, states, entry.layout, scope, path)
    arrays = packed_layers.named_arrays(locations, packed)
    arrays.update(initial_states.named_arrays(states, locations))
    if entry.is_tensorflow_checkpoint:
        for layer, location in zip(layers, locations):
            target_bias = runtime_forget_bias(location.layout, forget_bias)
            arrays.update(slots.pack_slots(layer, location, target_bias, averages))
        other_arrays = initial_states.with_renamed_slots(other_arrays, layers, locations)
    in_use = sorted(set(arrays) & set(other_arrays))
    if in_use:
        expected = "`scope` to give names that differ from those of `other_arrays`"
        checks.fail("checkpoints.write", expected, ", ".join(in_use))
    arrays.update(other_arrays)
    return Plan(path, entry.codec(), Content(arrays, container), locations)
