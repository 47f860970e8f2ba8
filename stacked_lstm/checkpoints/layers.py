"""The LSTM layers in a file: where they are, what they hold, and how several make a stack."""

import collections
import collections.abc
import re

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints.files import same

# Layout -> what the number of a layer in its stack follows in its name, and the first number.
_NUMBERS = {
    layouts.OWN: (r"/layer_(\d+)$", 1),
    "rnn_cell": (r"(?:^|/)cell_(\d+)(?=/)", 0),
    "cudnn_compatible": (r"(?:^|/)cell_(\d+)(?=/)", 0),
    "pytorch": (r"(?:^|\.)l(\d+)(?=$|_reverse$)", 0),
}

PLAIN, MAYBE, OTHER = "", "maybe", "other"

Location = collections.namedtuple(
    "Location", ["name", "network", "layout", "names", "direction", "status", "remark"], defaults=["forward", PLAIN, ""]
)
Location.__doc__ = """Where one LSTM layer is in a file, in one direction.

Fields:
  name: what it is called there, e.g. a scope; no other layer has it.
  network: layers of the same network follow each other.
  layout: a name of `layouts.LAYOUTS`.
  names: ordered dictionary from the layout's names to the file's.
  direction: "forward" or "backward", the order in which it reads a sequence.
  status: PLAIN; MAYBE where only the shapes are an LSTM's, the name is not; OTHER where the file says that it computes
    something else with its arrays.
  remark: the reason of that, or what else is worth knowing, such as its activations.
"""

FoundLayer = collections.namedtuple("FoundLayer", Location._fields + ("forget_bias", "arrays", "layer", "slots"))
FoundLayer.__doc__ = """One LSTM layer that was read from a file: a `Location` and

Fields:
  forget_bias: what the library adds to the forget gate at run time.
  arrays: ordered dictionary from the layout's names to arrays.
  layer: the common form of these, as `layouts.unpack` returns it, with the forget bias in bf.
  slots: what an optimizer keeps for the layer, ordered dictionary from (outer scope, slot's name) to a dictionary like
    `layer`, e.g. ("", "Adam") for variables that are called <name>/kernel/Adam; the forget bias is not added there.
"""


def added(layout, forget_bias):
    """What a library adds to the forget gate: `forget_bias`, or its default if that is None; 0.0 if it adds none."""
    default = layouts.LAYOUTS[layout].forget_bias
    return default if not default or forget_bias is None else float(forget_bias)


def fits(names, arrays, layout):
    """Whether the arrays of these names are one layer's, in a layout."""
    try:
        layouts.unpack({key: arrays[name] for key, name in names.items()}, layout, 0.0)
    except (ValueError, TypeError, LookupError):  # Shapes that do not fit, numbers NumPy does not know, arrays missing.
        return False
    return True


def check_fits(location, arrays, path):
    """Raises ValueError where a layer's name is an LSTM's and its arrays are not."""
    if not fits(location.names, arrays, location.layout):
        given_arrays = {
            name: f"{arrays[name].dtype.name} {arrays[name].shape}" if name in arrays else "missing"
            for name in location.names.values()
        }
        expected = "the arrays of %s in %s to be an LSTM layer's, of layout %s (or other layers to be named)"
        checks.fail("checkpoints.read", expected % (location.name, path, location.layout), given_arrays)


def check_numbers(locations, path):
    """Raises ValueError where a layer is missing between others, or below them, by the numbers in their names."""
    numbers = collections.defaultdict(set)
    for location in locations:
        pattern, first = _NUMBERS.get(location.layout, (None, None))
        for match in re.finditer(pattern, location.name) if pattern else []:
            numbers[location.name[: match.start(1)], first].add(int(match.group(1)))
    for (start, first), there in sorted(numbers.items()):
        missing = [f"{start}{k}" for k in range(first, max(there)) if k not in there]
        if missing:
            expected = f"LSTM layers in {path} without gaps in their numbers, or the names of those to take"
            checks.fail("checkpoints.read", expected, f"none at {', '.join(missing[:5])}")


def found(location, arrays, forget_bias):
    """`FoundLayer` of a `Location` in arrays that fit there.

    Args:
      location: a `Location`.
      arrays: names in the file -> arrays.
      forget_bias: that of layers whose layout adds one; None for its default.
    """
    forget_bias = added(location.layout, forget_bias)
    own = collections.OrderedDict((key, np.asarray(arrays[name])) for key, name in location.names.items())
    layer = layouts.unpack(own, location.layout, forget_bias)
    return FoundLayer(*location, forget_bias=forget_bias, arrays=own, layer=layer, slots=collections.OrderedDict())


def given(layers):
    """Layers as `checkpoints.write` is given them, `FoundLayer`s or mappings, all as `FoundLayer`s.

    Raises:
      ValueError: no layers, or such as are no layer's arrays.
    """
    if not isinstance(layers, (list, tuple)) or not layers:
        checks.fail("checkpoints.write", "`layers` to be a list of layers", repr(layers)[:80])
    whole = []
    for k, layer in enumerate(layers):
        if isinstance(layer, FoundLayer):
            whole.append(layer)
            continue
        if not isinstance(layer, collections.abc.Mapping):
            checks.fail("checkpoints.write", f"a FoundLayer or a mapping as layer {k + 1}", type(layer).__name__)
        names = collections.OrderedDict((name, name) for name, array in layer.items() if array is not None)
        whole.append(found(Location(f"layer_{k + 1}", "", layouts.OWN, names), layer, None))
    return whole


def same_layer(found_layer):
    """Whether a `FoundLayer`'s `layer` is still what its `arrays` hold, and not another that was put in its place."""
    own = layouts.unpack(found_layer.arrays, found_layer.layout, found_layer.forget_bias)
    return set(own) == set(found_layer.layer) and all(same(own[name], found_layer.layer[name]) for name in own)


def with_biases(layer):
    """The layer with zeros as biases where it has none."""
    if "bf" in layer:
        return layer
    zeros = np.zeros(layer["Wf"].shape[1:], layer["Wf"].dtype)
    return collections.OrderedDict(layer, **{"b" + gate: zeros for gate in layouts.GATES})


def with_biases_of(location, layer):
    """The layer as it is, or with zeros as biases where there are some at the location."""
    wanted = {name for name, _ in layouts.LAYOUTS[location.layout].biases}
    return with_biases(layer) if wanted & set(location.names) else layer


def sizes(layer):
    """(I, H, P) of a layer in the common form; P is None without a projection."""
    height, hidden_size = layer["Wf"].shape
    projected = layer["Wp"].shape[1] if "Wp" in layer else None
    return height - (projected or hidden_size), hidden_size, projected


def stack(layers, directed):
    """The layers of a new file: one above the other, with biases in all of them or in none.

    Args:
      layers: list of `FoundLayer`.
      directed: whether the file says in which direction they read, so that it must be forward.

    Raises:
      ValueError: they do not fit above one another, or not all have the same direction or dtype.
    """
    expected = "layers that are one stack (name those that are)"
    directions = {layer.direction for layer in layers}
    if len(directions) > 1 or (directed and directions != {"forward"}):
        listed = {layer.name: layer.direction for layer in layers}
        checks.fail("checkpoints.write", expected + ", all forward" * directed, listed)
    if len({layer.layer["Wf"].dtype for layer in layers}) > 1:
        dtypes = {layer.name: layer.layer["Wf"].dtype.name for layer in layers}
        checks.fail("checkpoints.write", "layers of one dtype", dtypes)
    for below, above in zip(layers, layers[1:]):
        _, hidden_size, projected = sizes(below.layer)
        if sizes(above.layer)[0] != (projected or hidden_size):
            given_sizes = {layer.name: "I %d, H %d, P %s" % sizes(layer.layer) for layer in (below, above)}
            checks.fail("checkpoints.write", expected + ", each as wide as the next one's input", given_sizes)
    biased = any("bf" in layer.layer for layer in layers)  # Where others have a bias, zeros are as good as none.
    return [layer._replace(layer=with_biases(layer.layer)) for layer in layers] if biased else layers
