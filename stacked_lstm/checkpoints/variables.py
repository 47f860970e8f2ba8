"""LSTM variables among those of a TensorFlow checkpoint, by their names and shapes: of cells, StackedLSTMs, Keras."""

import collections
import re

from stacked_lstm import layouts
from stacked_lstm.checkpoints.files import direction_of, in_order
from stacked_lstm.checkpoints.layers import MAYBE, Location, fits
from stacked_lstm.weights import BIAS_NAMES, KERNEL_NAMES

# The scopes in which the cells of TensorFlow 1 make their variables, if they are given no other name.
CELLS = re.compile(r"(?:basic_lstm|lstm|lstm_fused|cudnn_compatible_lstm)_cell(?:_\d+)?")

# The name in a layout -> the same since TensorFlow 1.2, and before.
_NAMES = collections.OrderedDict(
    [
        ("kernel", ("kernel", "weights")),
        ("recurrent_kernel", ("recurrent_kernel",)),
        ("bias", ("bias", "biases")),
        ("w_f_diag", ("w_f_diag",)),
        ("w_i_diag", ("w_i_diag",)),
        ("w_o_diag", ("w_o_diag",)),
        ("projection/kernel", ("projection/kernel", "projection/weights")),
    ]
)
# The variables of a StackedLSTM's layer, without the peepholes and the projection that its layout has a place for.
STACK_NAMES = KERNEL_NAMES + BIAS_NAMES
_STACK_VARIABLE = re.compile(rf"(?P<layer>(?P<stack>.+)/layer_\d+)/(?P<name>[Wb][{layouts.GATES}])")


def find_stacks(arrays):
    """List of `Location` of the layers of StackedLSTMs."""
    found = collections.OrderedDict()
    for name in arrays:
        match = _STACK_VARIABLE.fullmatch(name)
        if match:
            found.setdefault((match.group("layer"), match.group("stack")), {})[match.group("name")] = name
    locations = [
        Location(layer, stack, layouts.OWN, collections.OrderedDict((n, of[n]) for n in STACK_NAMES if n in of))
        for (layer, stack), of in found.items()
    ]
    return sorted(locations, key=lambda location: in_order(location.name))


def find_cells(arrays):
    """List of `Location` of the layers of cells, and of Keras layers that a Saver saved with the rest of a TF1 program.

    What has the shapes but not the name of an LSTM cell is there as a MAYBE: a dense layer has them, too.
    """
    parts = [name.rpartition("/") for name in arrays]
    scopes = {scope for scope, _, last in parts if last in _NAMES["kernel"] + _NAMES["bias"]}
    locations = []
    for scope in sorted(scopes, key=in_order):
        above, _, last = scope.rpartition("/")
        is_cell = CELLS.fullmatch(last) is not None
        names = _names(scope, arrays, is_cell)
        location = Location(scope, _network(above), _layout(names, last, arrays), names, direction_of(scope))
        if is_cell or ("recurrent_kernel" in names and fits(names, arrays, location.layout)):
            locations.append(location)
        elif {"kernel", "bias"} <= set(names) and fits(names, arrays, location.layout):
            locations.append(location._replace(status=MAYBE, remark="shapes of an LSTM cell's, but another name"))
    return locations


def _names(scope, arrays, is_cell):
    """The layout's names -> those of a scope's variables; a cell's kernel and bias even where they are missing."""
    names = collections.OrderedDict()
    for key, others in _NAMES.items():
        paths = [f"{scope}/{other}" for other in others]
        there = [path for path in paths if path in arrays]
        if there or (is_cell and key in ("kernel", "bias") and scope + "/recurrent_kernel" not in arrays):
            names[key] = (there or paths)[0]
    return names


def _layout(names, last, arrays):
    if "recurrent_kernel" in names:
        return "keras" if fits(names, arrays, "keras") else "keras_cudnn"
    return "cudnn_compatible" if last.startswith("cudnn_compatible") else "rnn_cell"


def _network(scope):
    """The scope without what tells the cells of a MultiRNNCell apart."""
    return "/".join(part for part in scope.split("/") if not re.fullmatch(r"multi_rnn_cell|cell_\d+", part))
