"""The package's own .npz file, which is read without TensorFlow; `stacked_lstm.runtime` computes with it.

Its arrays have the names of a `StackedLSTM`'s variables without a scope: layer_1/Wf, ..., initial_state/layer_1/W_c,
.... It may also have the names `activation` and `recurrent_activation`, which are tanh and sigmoid if they are missing,
and arrays of other parts of a network, such as other_arrays/embedding.
"""

from __future__ import annotations

import re
from typing import Sequence

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import initial_states, npz_files
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.files import Arrays, Content
from stacked_lstm.checkpoints.layers import PLAIN, VARIANT, Location, Weights

NAME = re.compile(r"(?P<group>initial_state/)?layer_(?P<number>[1-9]\d{0,3})/(?P<array>\w+)")
ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}
OTHER_ARRAYS = "other_arrays/"
_ARRAYS = [kind + gate for kind in "Wb" for gate in layouts.GATES]
_STATE_ARRAYS = initial_states.LEARNED + initial_states.PROJECTED


def is_archive(path: str) -> bool:
    """Whether an .npz file has the name of a layer's matrix or bias; raises ValueError if it cannot be read."""
    matches = filter(None, map(NAME.fullmatch, npz_files.array_names(path)))
    return any(match.group("array") in _ARRAYS and not match.group("group") for match in matches)


def find(content: Content, path: str) -> list[Location]:
    """The layers in the order of their numbers."""
    names: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
    for name in content.arrays:
        match = NAME.fullmatch(name)
        if match and (not match.group("group") or match.group("array") in _STATE_ARRAYS):
            weights, state = names.setdefault(int(match.group("number")), ({}, {}))
            (state if match.group("group") else weights)[match.group("array")] = name
    for number, (weights, state) in names.items():
        if not weights:
            raise ValueError(f"layer {number} with {' and '.join(sorted(state.values()))} alone")
    functions = activations(content.arrays)
    is_plain = functions == tuple(ACTIVATIONS.values())
    remark = "" if is_plain else f"activations {' and '.join(functions)}"
    status = PLAIN if is_plain else VARIANT
    return [
        Location(f"layer_{number}", "", layouts.OWN, weights, status=status, remark=remark, initial_state=state)
        for number, (weights, state) in sorted(names.items())
    ]


def activations(arrays: Arrays) -> tuple[str, str]:
    """The names of `activation` and `recurrent_activation` that the arrays of a file imply."""
    function, recurrent_function = (str(arrays.get(key, default)) for key, default in ACTIVATIONS.items())
    return function, recurrent_function


def create(
    layers: Sequence[Weights], states: Sequence[Weights], layout: str, scope: str | None, path: str
) -> tuple[None, list[Location]]:
    """No container, and the names of the arrays."""
    if scope is not None:
        checks.fail("checkpoints.write", f"no `scope`, since the names in {path} have none", repr(scope))
    others = sorted({name for arrays in layers for name in arrays} - set(_ARRAYS))
    if others:
        expected = "`layers` without peepholes, projections and layer normalization, for a runtime.Predictor"
        checks.fail("checkpoints.write", expected, ", ".join(others))
    npz_files.check_dtypes(layers[0].values())
    locations = []
    for k, (arrays, state) in enumerate(zip(layers, states), 1):
        array_names = {key: f"layer_{k}/{key}" for key in arrays}
        state_names = {key: f"initial_state/layer_{k}/{key}" for key in state}
        locations.append(Location(f"layer_{k}", "", layout, array_names, initial_state=state_names))
    return None, locations


CODEC = Codec(load=npz_files.load, find=find, create=create, save=npz_files.save, activations=activations)
