"""Finds LSTM layers among the variables of a TensorFlow checkpoint, by names and shapes."""

from __future__ import annotations

import re
from typing import Mapping

import numpy as np

from stacked_lstm import layouts
from stacked_lstm.checkpoints import initial_states
from stacked_lstm.checkpoints.layers import (
    PLAIN,
    POSSIBLE,
    VARIANT,
    Location,
    direction_of,
    fits,
    keras_layout,
    natural_order,
)
from stacked_lstm.checkpoints.tensorflow import cell_variables
from stacked_lstm.stack.weights import (
    BIAS_NAMES,
    CELL_SHIFT_NAME,
    GAIN_NAMES,
    KERNEL_NAMES,
    PEEPHOLE_NAMES,
    PROJECTION_NAME,
)

# Scopes that the cells of TensorFlow 1 give their variables by default.
CELL_SCOPE = re.compile(r"(?:basic_lstm|lstm|lstm_fused|cudnn_compatible_lstm)_cell(?:_\d+)?")
_NORM_SCOPE = re.compile(r"layer_norm_basic_lstm_cell(?:_\d+)?")
_NORM_LAYOUT = layouts.LAYOUTS["layer_norm_cell"]
_NORM_ARRAYS = ["kernel", *[name for name, _ in [*_NORM_LAYOUT.biases, *_NORM_LAYOUT.gains]], "state/beta"]

# Name in a layout -> names of the variable in new and in old versions; TensorFlow 1.2 changed them.
_VARIABLE_NAMES = {
    "kernel": ("kernel", "weights"),
    "recurrent_kernel": ("recurrent_kernel",),
    "bias": ("bias", "biases"),
    "w_f_diag": ("w_f_diag",),
    "w_i_diag": ("w_i_diag",),
    "w_o_diag": ("w_o_diag",),
    "projection/kernel": ("projection/kernel", "projection/weights"),
}
# Variables of a layer of StackedLSTM.
_NORM_NAMES = GAIN_NAMES + (CELL_SHIFT_NAME,)
_STACK_NAMES = KERNEL_NAMES + BIAS_NAMES + PEEPHOLE_NAMES + (PROJECTION_NAME,) + _NORM_NAMES
_STACK_VARIABLE = re.compile(rf"(?P<layer>(?P<stack>.+)/layer_\d+)/(?P<name>{'|'.join(_STACK_NAMES)})")


def find_stacks(arrays: Mapping[str, np.ndarray]) -> list[Location]:
    """The layers of every StackedLSTM in a checkpoint.

    Args:
      arrays: mapping from the names of variables to arrays.
    """
    names_by_layer: dict[tuple[str, str], dict[str, str]] = {}
    for name in arrays:
        match = _STACK_VARIABLE.fullmatch(name)
        if match:
            names_by_layer.setdefault((match.group("layer"), match.group("stack")), {})[match.group("name")] = name
    locations = []
    for (layer, stack), names in names_by_layer.items():
        array_names = {key: names[key] for key in _STACK_NAMES if key in names}
        remark = "layer normalization" if set(names) & set(_NORM_NAMES) else ""
        state_names = initial_states.variable_names(stack, layer.rpartition("_")[2])
        state_names = {key: name for key, name in state_names.items() if name in arrays}
        direction = direction_of(stack)  # A BidirectionalLSTM has a stack per direction.
        locations.append(
            Location(layer, stack, layouts.OWN, array_names, direction, remark=remark, initial_state=state_names)
        )
    return sorted(locations, key=lambda location: natural_order(location.name))


def find_cells(arrays: Mapping[str, np.ndarray], graph_scopes: Mapping[str, str] | None = None) -> list[Location]:
    """The layers of cells, and of Keras layers that a Saver saved with the rest of a TF1 program.

    Variables with the shapes of an LSTM cell, but another name, have the status `POSSIBLE`: a dense layer has such
    shapes, too.

    Args:
      arrays: mapping from the names of variables to arrays.
      graph_scopes: scope of a name in `arrays` -> the scope of the same variable in the graph, whose last part tells
        what kind of cell it is; None if the scopes are the same.
    """
    parts = [name.rpartition("/") for name in arrays]
    scopes = {scope for scope, _, last in parts if last in _VARIABLE_NAMES["kernel"] + _VARIABLE_NAMES["bias"]}
    scopes = {scope for scope in scopes if not cell_variables.is_of_another_cell(scope)}
    members = cell_variables.members(scopes, arrays)
    locations = []
    for scope in sorted(scopes, key=natural_order):
        outer = scope.rpartition("/")[0]
        last = (graph_scopes or {}).get(scope, scope).rpartition("/")[2]
        is_normalized = _NORM_SCOPE.fullmatch(last) is not None and f"{scope}/state/gamma" in arrays
        is_cell = is_normalized or CELL_SCOPE.fullmatch(last) is not None
        names = _array_names(scope, arrays, is_cell)
        if is_normalized:
            names = {key: f"{scope}/{key}" for key in _NORM_ARRAYS}
        location = Location(scope, _network(outer), _layout(names, last, arrays), names, direction_of(scope))
        if is_cell or ("recurrent_kernel" in names and fits(names, arrays, location.layout)):
            remark = cell_variables.remark(location, members[scope], arrays)
            locations.append(location._replace(status=VARIANT if remark else PLAIN, remark=remark))
        elif {"kernel", "bias"} <= set(names) and fits(names, arrays, location.layout):
            remark = "the shapes of an LSTM cell, but another name"
            locations.append(location._replace(status=POSSIBLE, remark=remark))
    return locations


def _array_names(scope: str, arrays: Mapping[str, np.ndarray], is_cell: bool) -> dict[str, str]:
    """The layout's names -> names of a scope's variables. A cell has a kernel and a bias even if they are missing."""
    array_names = {}
    for key, alternatives in _VARIABLE_NAMES.items():
        paths = [f"{scope}/{alternative}" for alternative in alternatives]
        present = [path for path in paths if path in arrays]
        if present or (is_cell and key in ("kernel", "bias") and scope + "/recurrent_kernel" not in arrays):
            array_names[key] = (present or paths)[0]
    return array_names


def _layout(array_names: Mapping[str, str], last: str, arrays: Mapping[str, np.ndarray]) -> str:
    if "state/gamma" in array_names:
        return "layer_norm_cell"
    if "recurrent_kernel" in array_names:
        return keras_layout(array_names, arrays)
    return "cudnn_compatible" if last.startswith("cudnn_compatible") else "rnn_cell"


def _network(scope: str) -> str:
    """The scope without the parts that differ between the cells of a MultiRNNCell."""
    return "/".join(part for part in scope.split("/") if not re.fullmatch(r"multi_rnn_cell|cell_\d+", part))
