"""The package's own .npz file, which is read without TensorFlow; `stacked_lstm.runtime` computes with it.

Its arrays have the names of a `StackedLSTM`'s variables without a scope: layer_1/Wf, ..., initial_state/layer_1/W_c,
.... It may also have the names `activation` and `recurrent_activation`, which are tanh and sigmoid if they are missing,
and arrays of other parts of a network, such as other_arrays/embedding.
"""

from __future__ import annotations

import re
from typing import Iterable, Sequence

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import initial_states, npz_files
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.layers import PLAIN, VARIANT, Location, Weights
from stacked_lstm.checkpoints.safety.files import Arrays, Content

INITIAL_STATE = "initial_state/"
NAME = re.compile(rf"(?P<group>{INITIAL_STATE})?layer_(?P<number>[1-9]\d{{0,3}})/(?P<array>\w+)")
ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}
OTHER_ARRAYS = "other_arrays/"
_ARRAYS = [kind + gate for kind in "Wb" for gate in layouts.GATES]
_STATE_ARRAYS = initial_states.LEARNED + initial_states.PROJECTED


def is_archive(path: str) -> bool:
    """Whether an .npz file has the name of a layer's matrix or bias; raises ValueError if it cannot be read."""
    matches = filter(None, map(NAME.fullmatch, npz_files.array_names(path)))
    return any(match.group("array") in _ARRAYS and not match.group("group") for match in matches)


def array_name(number: int, array: str, group: str = "") -> str:
    """The name in the file of an array of a layer; `group` is `INITIAL_STATE` for one of its initial state."""
    return f"{group}layer_{number}/{array}"


def names_by_layer(names: Iterable[str]) -> tuple[dict[int, dict[str, str]], dict[int, dict[str, str]]]:
    """For the weights, and for the initial states: number of a layer -> name in the layer -> name in the file."""
    weights: dict[int, dict[str, str]] = {}
    states: dict[int, dict[str, str]] = {}
    for name in names:
        match = NAME.fullmatch(name)
        if match:
            layers = states if match.group("group") else weights
            layers.setdefault(int(match.group("number")), {})[match.group("array")] = name
    return weights, states


def find(content: Content, path: str) -> list[Location]:
    """The layers in the order of their numbers."""
    weights, states = names_by_layer(content.arrays)
    for number, names in states.items():
        states[number] = {key: name for key, name in names.items() if key in _STATE_ARRAYS}
        if states[number] and number not in weights:
            raise ValueError(f"layer {number} with {' and '.join(sorted(states[number].values()))} alone")
    functions = activations(content.arrays)
    is_plain = functions == tuple(ACTIVATIONS.values())
    remark = "" if is_plain else f"activations {' and '.join(functions)}"
    status = PLAIN if is_plain else VARIANT
    return [
        Location(
            f"layer_{number}",
            "",
            layouts.OWN,
            names,
            status=status,
            remark=remark,
            initial_state=states.get(number, {}),
        )
        for number, names in sorted(weights.items())
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
        array_names = {key: array_name(k, key) for key in arrays}
        state_names = {key: array_name(k, key, INITIAL_STATE) for key in state}
        locations.append(Location(f"layer_{k}", "", layout, array_names, initial_state=state_names))
    return None, locations


CODEC = Codec(load=npz_files.load, find=find, create=create, save=npz_files.save, activations=activations)
