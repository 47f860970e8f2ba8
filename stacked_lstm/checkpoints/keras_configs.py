"""What the config in a Keras file says of its LSTM layers, also of those inside wrappers, cells and other models."""

import collections
import re
from typing import NamedTuple, Sequence


class Description(NamedTuple):
    """One LSTM layer of a config.

    Fields:
      path: its group in a .keras file, e.g. "layers/bidirectional/forward_layer".
      names: names of layers and cells; its group in a .h5 file has all of them among its parts.
      backward: whether it reads a sequence backward.
      remark: what it computes other than a plain LSTM, such as its activations; "" where there is nothing.
    """

    path: str
    names: Sequence[str]
    backward: bool
    remark: str


_ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}
_LSTMS = ("LSTM", "CuDNNLSTM", "LSTMCell")
_WRAPPERS = ("Bidirectional", "TimeDistributed", "RNN", "StackedRNNCells")  # They leave alone what is inside.


def described(config):
    """List of `Description` of all layers of a model's config, in the order of the network."""
    return list(_model(config.get("config", {}), Description("", (), False, "")))


def of_layer(descriptions, scope):
    """The `Description` of the layer whose arrays are in a group of the file; None if there is none."""
    by_path, parts = scope.startswith("layers/"), scope.split("/")  # In .keras files groups have names of their own.
    for description in descriptions:
        in_h5 = all(name in parts for name in description.names)
        if (scope + "/").startswith(description.path + "/") if by_path else in_h5:
            return description
    return None


def _model(own, around):
    """The LSTMs of a model with the config `own`; `around` is as in `_layer`."""
    layers = own if isinstance(own, list) else own.get("layers", [])  # A list is what the oldest files have.
    outside = around.path + "/" if around.path else ""
    for layer, group in zip(layers, _groups(layers)):
        yield from _layer(layer, around._replace(path=f"{outside}layers/{group}", names=()))


def _layer(layer, around, prefix="", has_group=True):
    """The LSTMs in a layer or a cell.

    Args:
      layer: its class and config.
      around: what is outside: the layer's path, and the names, the direction and the remark so far.
      prefix: what a Bidirectional puts before its name.
      has_group: whether a .h5 file has its name; it need not have that of the only layer in a wrapper.
    """
    kind, own = layer["class_name"], layer.get("config", {})
    name = own.get("name", "")
    name = prefix + re.sub("^(?:forward|backward)_", "", name) if prefix else name
    around = around._replace(
        names=(*around.names, name) if has_group else around.names,
        backward=around.backward != bool(own.get("go_backwards")),
    )
    if "layers" in own:
        yield from _model(own, around)
    elif kind == "Bidirectional":
        yield from _bidirectional(kind, own, around)
    elif "cells" in own:
        for cell, group in zip(own["cells"], _groups(own["cells"])):
            yield from _layer(cell, _inside(kind, around, "cells/" + group))
    elif "layer" in own or "cell" in own:
        part = "layer" if "layer" in own else "cell"
        yield from _layer(own[part], _inside(kind, around, part), has_group=False)
    else:
        yield _remarked(around, _remark(kind, own))


def _bidirectional(kind, own, around):
    forward = own["layer"]
    yield from _layer(forward, _inside(kind, around, "forward_layer"), "forward_")
    around = _inside(kind, around, "backward_layer")
    if own.get("backward_layer"):
        for prefix in ("backward_", ""):  # Keras 3 leaves the name of a layer that it is given.
            yield from _layer(own["backward_layer"], around, prefix)
    else:
        yield from _layer(forward, around._replace(backward=not around.backward), "backward_")


def _inside(kind, around, part):
    """What is around a layer that is `part` of one of the class `kind`."""
    around = around._replace(path=f"{around.path}/{part}")
    return around if kind in _WRAPPERS else _remarked(around, f"inside a {kind}")


def _remarked(description, remark):
    """`description` with a remark more, if there is one."""
    return description._replace(remark=", ".join(filter(None, [description.remark, remark])))


def _remark(kind, own):
    """What an LSTM with the config `own` computes otherwise; CuDNNLSTM has no activations in its config."""
    others = [] if kind in _LSTMS else [f"of the class {kind}"]
    others += [f"{key} {own[key]}" for key, usual in sorted(_ACTIVATIONS.items()) if own.get(key, usual) != usual]
    return ", ".join(others)


def _groups(layers):
    """The names of the layers' groups, as Keras makes them of the names of their classes: CuDNNLSTM is cu_dnnlstm."""
    counts = collections.Counter()
    for layer in layers:
        words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer["class_name"]))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
        yield name + (f"_{counts[name]}" if counts[name] else "")
        counts[name] += 1
