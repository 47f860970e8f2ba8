"""`Location` and `CheckpointLayer`: where one LSTM layer is in a file, what it holds, and the checks of both."""

from __future__ import annotations

import collections
import itertools
import re
from typing import Any, Dict, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks, layouts

Weights = Dict[str, np.ndarray]

# Layout -> the pattern that finds the number of a layer within its name, and the number of the lowest layer.
_NUMBERS = {
    layouts.OWN: (r"(?:^|/)layer_(\d+)$", 1),
    "rnn_cell": (r"(?:^|/)cell_(\d+)(?=/)", 0),
    "cudnn_compatible": (r"(?:^|/)cell_(\d+)(?=/)", 0),
    "layer_norm_cell": (r"(?:^|/)cell_(\d+)(?=/)", 0),
    "pytorch": (r"(?:^|\.)l(\d+)(?=$|_reverse$)", 0),
}

PLAIN, POSSIBLE, VARIANT = "plain", "possible", "variant"


class Location(NamedTuple):
    """Where one LSTM layer is in a file, in one direction.

    Fields:
      name: unique name of the layer in the file, e.g. a variable scope.
      network: name of the network that the layer belongs to; layers of one network follow each other.
      layout: a name in `layouts.LAYOUTS`.
      array_names: dictionary from the layout's array names to those in the file.
      direction: "forward" or "backward": the order in which the layer reads a sequence.
      status: "plain"; "possible" if the shapes are those of an LSTM, but the name is not; "variant" if the file says
        that the layer computes something else than a plain LSTM.
      remark: the reason for the status, such as the layer's activations; may be empty.
      initial_state: dictionary from c and h, or W_c and W_h, to names of arrays in the file; empty if the layer starts
        from zeros.

    Example:
      >>> weights = {name: np.zeros([5, 3], np.float32) for name in ("Wf", "Wi", "Wo", "Wc")}
      >>> (location,) = stacked_lstm.checkpoints.write("model.weights.h5", [weights])
      >>> location.name, location.layout, location.direction
      ('layers/lstm/cell/vars', 'keras', 'forward')
      >>> location.array_names["recurrent_kernel"]
      'layers/lstm/cell/vars/1'
    """

    name: str
    network: str
    layout: str
    array_names: dict[str, str]
    direction: str = "forward"
    status: str = PLAIN
    remark: str = ""
    initial_state: Mapping[str, str] = {}


class LayerSizes(NamedTuple):
    """Sizes of one layer.

    Fields:
      input_size: I, the width of x.
      hidden_size: H, the width of the cell state.
      projection_size: P, the width of the hidden state; None without a projection, where it is H.
    """

    input_size: int
    hidden_size: int
    projection_size: int | None


def sizes_of(weights: Mapping[str, np.ndarray]) -> LayerSizes:
    """The sizes of a layer from its weights in the common form of `layouts.unpack`."""
    height, hidden_size = weights["Wf"].shape
    projection_size = weights["Wp"].shape[1] if "Wp" in weights else None
    return LayerSizes(height - (projection_size or hidden_size), hidden_size, projection_size)


class CheckpointLayer(NamedTuple):
    """One LSTM layer that was read from a file.

    Fields:
      location: the `Location` in the file. Its name, network, layout, direction, status and remark are also attributes
        of the layer.
      forget_bias: what the library adds to the forget gate at run time.
      arrays: dictionary from the layout's array names to the arrays as they are in the file.
      weights: the same in the common form of `layouts.unpack`, for `StackedLSTM.set_weights`: Wf Wi Wo Wc, and bf bi bo
        bc if there are biases, with `forget_bias` in bf.
      slots: what an optimizer keeps for the layer: dictionary from (outer scope, name of the slot) to a dictionary like
        `weights`. Variables called <array's name>/Adam have the key ("", "Adam"). No forget bias is added to slots.
      initial_state: what the layer starts from: c and h, [H] each, if it is learned; W_c and W_h if it is
        projected from the first input as in `numpy_lstm.projected_forward`; empty for zeros.

    Example:
      >>> np.savez("lstm.npz", weight_ih_l0=np.ones([12, 2]), weight_hh_l0=np.ones([12, 3]))
      >>> (layer,) = stacked_lstm.checkpoints.read("lstm.npz").layers
      >>> layer
      <CheckpointLayer l0: layout pytorch, input size 2, hidden size 3, forward>
      >>> layer.weights["Wf"].shape, layer.sizes.hidden_size
      ((5, 3), 3)
    """

    location: Location
    forget_bias: float
    arrays: Weights
    weights: Weights
    slots: dict[tuple[str, str], Weights]
    initial_state: Weights = {}

    @property
    def name(self) -> str:
        return self.location.name

    @property
    def network(self) -> str:
        return self.location.network

    @property
    def layout(self) -> str:
        return self.location.layout

    @property
    def direction(self) -> str:
        return self.location.direction

    @property
    def status(self) -> str:
        return self.location.status

    @property
    def remark(self) -> str:
        return self.location.remark

    @property
    def sizes(self) -> LayerSizes:
        return sizes_of(self.weights)

    def __repr__(self) -> str:
        input_size, hidden_size, projection_size = self.sizes
        projection = f", projection size {projection_size}" if projection_size else ""
        sizes = f"input size {input_size}, hidden size {hidden_size}{projection}"
        return f"<CheckpointLayer {self.name}: layout {self.layout}, {sizes}, {self.direction}>"


def layer_at(location: Location, arrays: Mapping[str, Any], forget_bias: float | None) -> CheckpointLayer:
    """The `CheckpointLayer` at a location whose arrays fit.

    Args:
      location: a `Location`.
      arrays: mapping from the names in the file to arrays.
      forget_bias: what cells add to the forget gate, if the layout is that of cells; None for the layout's default.
    """
    forget_bias = runtime_forget_bias(location.layout, forget_bias)
    own_arrays = {key: np.asarray(arrays[name]) for key, name in location.array_names.items()}
    weights = layouts.unpack(own_arrays, location.layout, forget_bias)
    initial_state = {key: np.asarray(arrays[name]) for key, name in location.initial_state.items()}
    return CheckpointLayer(location, forget_bias, own_arrays, weights, {}, initial_state)


def runtime_forget_bias(layout: str, forget_bias: float | None) -> float:
    """What the library of a layout adds to the forget gate at run time.

    Args:
      layout: a name in `layouts.LAYOUTS`.
      forget_bias: the value for libraries that add one; None for their default.

    Returns:
      The value; 0.0 for libraries that add none.
    """
    default = layouts.LAYOUTS[layout].forget_bias
    return default if not default or forget_bias is None else float(forget_bias)


def fits(array_names: Mapping[str, str], arrays: Mapping[str, np.ndarray], layout: str) -> bool:
    """Whether arrays are those of one layer.

    Args:
      array_names: mapping from the layout's array names to those in the file.
      arrays: mapping from the names in the file to arrays.
      layout: a name in `layouts.LAYOUTS`.
    """
    try:
        layouts.unpack({key: arrays[name] for key, name in array_names.items()}, layout, 0.0)
    except (ValueError, TypeError, LookupError):  # Wrong shapes, dtypes that NumPy does not know, missing arrays.
        return False
    return True


def keras_layout(array_names: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """The layout of a Keras layer's arrays: "keras", or "keras_cudnn" if only that fits."""
    cudnn_only = not fits(array_names, arrays, "keras") and fits(array_names, arrays, "keras_cudnn")
    return "keras_cudnn" if cudnn_only else "keras"


def check_fits(location: Location, arrays: Mapping[str, np.ndarray], path: str, names_argument: str) -> None:
    """Raises ValueError if a layer has the name of an LSTM, but not its arrays.

    Args:
      location: a `Location`.
      arrays: mapping from the names in the file to arrays.
      path: the file.
      names_argument: name of the argument that selects layers.
    """
    if not fits(location.array_names, arrays, location.layout):
        shapes = ", ".join(
            f"{name} {arrays[name].dtype.name} {list(arrays[name].shape)}" if name in arrays else f"no {name}"
            for name in location.array_names.values()
        )
        expected = f"LSTM arrays in the layout {location.layout} for {location.name} in {path}"
        problem = f"{shapes}{'; ' * bool(location.remark)}{location.remark}"
        checks.fail("checkpoints.read", f"{expected}, or `{names_argument}` to select other layers", problem)


def check_numbers(locations: Sequence[Location], path: str, names_argument: str) -> None:
    """Raises ValueError if the numbers in the layers' names show that a lower layer is missing.

    Args:
      locations: the layers.
      path: the file.
      names_argument: name of the argument that selects layers.
    """
    numbers = collections.defaultdict(set)
    for location in locations:
        pattern, lowest = _NUMBERS.get(location.layout, (None, 0))
        for match in re.finditer(pattern, location.name) if pattern else []:
            numbers[location.name[: match.start(1)], lowest].add(int(match.group(1)[-18:]))
    for (prefix, lowest), present in sorted(numbers.items()):
        missing = (f"{prefix}{k}" for k in range(lowest, max(present)) if k not in present)
        shown = list(itertools.islice(missing, 6))  # A name may have any number; nobody waits for all before it.
        if shown:
            expected = f"LSTM layers without gaps in their numbers in {path}, or `{names_argument}` to select layers"
            more = " and more" * (len(shown) > 5)
            checks.fail("checkpoints.read", expected, f"no {', '.join(shown[:5])}{more}")


def natural_order(name: str) -> list[Any]:
    """A key that sorts names with numbers by value, and forward before backward."""
    words = re.sub(r"\b(fw|forward)", "0", re.sub(r"\b(bw|backward)", "1", name))
    numbers = [part.lstrip("0") if k % 2 else part for k, part in enumerate(re.split(r"(\d+)", words))]
    return [(len(part), part) if k % 2 else part for k, part in enumerate(numbers)]


def direction_of(scope: str) -> str:
    """ "backward" if a scope is named like a backward layer of bidirectional_dynamic_rnn or Keras, else "forward"."""
    backward = any(re.fullmatch(r"bw|backward(?:_.*)?", part) for part in scope.split("/"))
    return "backward" if backward else "forward"
