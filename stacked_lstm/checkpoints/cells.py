"""LSTM variables among those of a TensorFlow checkpoint, by their names and shapes."""

import collections
import re

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints.files import in_order
from stacked_lstm.checkpoints.layers import MAYBE, Location, fits

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
STACK_NAMES = ["W" + gate for gate in layouts.GATES] + ["b" + gate for gate in layouts.GATES]
_STACK_VARIABLE = re.compile(r"(?P<layer>(?P<stack>.+)/layer_\d+)/(?P<name>[Wb][%s])" % layouts.GATES)


def find_stacks(arrays, path):
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
    for location in locations:
        _require(location, arrays, path)
    return sorted(locations, key=lambda location: in_order(location.name))


def find_cells(arrays, path):
    """List of `Location` of the layers of cells, and of Keras layers that a Saver saved with the rest of a TF1 program.

    What has the shapes but not the name of an LSTM cell is there as a MAYBE: a dense layer has them, too.
    """
    scopes = {name[: -len(kernel) - 1] for name in arrays for kernel in _NAMES["kernel"] if name.endswith("/" + kernel)}
    locations = []
    for scope in sorted(scopes, key=in_order):
        above, _, last = scope.rpartition("/")
        names = collections.OrderedDict()
        for key, others in _NAMES.items():
            names.update((key, "%s/%s" % (scope, other)) for other in others if "%s/%s" % (scope, other) in arrays)
        location = Location(scope, _network(above), _layout(names, last, arrays), names, _direction(scope))
        if "recurrent_kernel" in names:
            if fits(names, arrays, location.layout):
                locations.append(location)
        elif CELLS.fullmatch(last):
            _require(location, arrays, path, ("kernel", "bias"))
            locations.append(location)
        elif "bias" in names and fits(names, arrays, location.layout):
            locations.append(location._replace(status=MAYBE, remark="shapes of an LSTM cell's, but another name"))
    return locations


def _layout(names, last, arrays):
    if "recurrent_kernel" in names:
        return "keras" if fits(names, arrays, "keras") else "keras_cudnn"
    return "cudnn_compatible" if last.startswith("cudnn_compatible") else "rnn_cell"


def _network(scope):
    """The scope without what tells the cells of a MultiRNNCell apart."""
    return "/".join(part for part in scope.split("/") if not re.fullmatch(r"multi_rnn_cell|cell_\d+", part))


def _direction(scope):
    return "backward" if "bw" in scope.split("/") else "forward"


def _require(location, arrays, path, needed=()):
    """Raises ValueError where a layer's name is an LSTM's and its arrays are not."""
    if not set(needed) <= set(location.names) or not fits(location.names, arrays, location.layout):
        shapes = {name: (arrays[name].shape, arrays[name].dtype.name) for name in location.names.values()}
        expected = "the variables of %s in %s to be an LSTM layer's, of layout %s" % (
            location.name,
            path,
            location.layout,
        )
        checks.fail("checkpoints.read", expected, shapes)
