"""What the config in a Keras file says about its LSTM layers, including those in wrappers, cells and nested models."""

from __future__ import annotations

import collections
import itertools
import re
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Sequence

Config = Mapping[str, Any]


class Description(NamedTuple):
    """One LSTM layer of a config.

    Fields:
      path: the layer's group in a .keras file, e.g. "layers/bidirectional/forward_layer".
      names: names of layers and cells; all of them are parts of the layer's group in a .h5 file.
      backward: whether the layer reads a sequence backward.
      remark: how the layer differs from a plain LSTM, such as its activations; empty for a plain LSTM.
    """

    path: str
    names: Sequence[str]
    backward: bool
    remark: str


_ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}
_DEEPEST, _MOST_DIRECTIONS, _MOST_LAYERS = 100, 4, 10000  # Beyond these, reading a config would take too long.
_LSTMS = ("LSTM", "CuDNNLSTM", "LSTMCell")
_WRAPPERS = ("Bidirectional", "TimeDistributed", "RNN", "StackedRNNCells")  # They do not change the layers inside.


def describe_model(config: Config) -> list[Description]:
    """The `Description` of every layer of a model, in the order of the network.

    Args:
      config: the JSON of a .keras file, or of the attribute model_config of a .h5 file.
    """
    descriptions = _describe_layers(config.get("config", {}), Description("", (), False, ""))
    described = list(itertools.islice(descriptions, _MOST_LAYERS + 1))
    if len(described) > _MOST_LAYERS:
        raise ValueError(f"a config with more than {_MOST_LAYERS} layers")
    return described


def _check_depth(path: str) -> None:
    """Raises ValueError for layers so deep in others that describing them would take too long."""
    directions = path.count("/forward_layer") + path.count("/backward_layer")
    if directions > _MOST_DIRECTIONS or path.count("/") > _DEEPEST:
        raise ValueError(f"a config with layers in {path.count('/')} groups, {directions} of them of a Bidirectional")


def find_description(descriptions: Iterable[Description], scope: str) -> Description | None:
    """The `Description` of the layer whose arrays are in a group of the file; None if there is none.

    Args:
      descriptions: those of all layers.
      scope: the group.
    """
    is_path, parts = scope.startswith("layers/"), scope.split("/")  # .keras files name groups by class, not by layer.
    for description in descriptions:
        if is_path:
            matches = (scope + "/").startswith(description.path + "/")
        else:
            matches = all(name in parts for name in description.names)
        if matches:
            return description
    return None


def _describe_layers(config: Any, context: Description) -> Iterator[Description]:
    """The LSTMs of a model with this config; `context` is as in `_describe_layer`."""
    layers = config if isinstance(config, list) else config.get("layers", [])  # The oldest files have a list.
    prefix = context.path + "/" if context.path else ""
    for layer, group in zip(layers, _group_names(layers)):
        yield from _describe_layer(layer, context._replace(path=f"{prefix}layers/{group}", names=()))


def _describe_layer(
    layer: Config, context: Description, prefix: str = "", has_group: bool = True
) -> Iterator[Description]:
    """The LSTMs in a layer or a cell.

    Args:
      layer: its class and config.
      context: the layer's path, and the names, the direction and the remark that the layers around it give it.
      prefix: what a Bidirectional puts before the layer's name.
      has_group: whether a .h5 file has a group of the layer's name; it need not have one for the layer of a wrapper.
    """
    _check_depth(context.path)
    kind, config = layer["class_name"], layer.get("config", {})
    name = config.get("name", "")
    name = prefix + re.sub("^(?:forward|backward)_", "", name) if prefix else name
    context = context._replace(
        names=(*context.names, name) if has_group else context.names,
        backward=context.backward != bool(config.get("go_backwards")),
    )
    if "layers" in config:
        yield from _describe_layers(config, context)
    elif kind == "Bidirectional":
        yield from _describe_bidirectional(kind, config, context)
    elif "cells" in config:
        for cell, group in zip(config["cells"], _group_names(config["cells"])):
            yield from _describe_layer(cell, _enter(kind, context, "cells/" + group))
    elif "layer" in config or "cell" in config:
        part = "layer" if "layer" in config else "cell"
        yield from _describe_layer(config[part], _enter(kind, context, part), has_group=False)
    else:
        yield _with_remark(context, _difference(kind, config))


def _describe_bidirectional(kind: str, config: Config, context: Description) -> Iterator[Description]:
    forward = config["layer"]
    yield from _describe_layer(forward, _enter(kind, context, "forward_layer"), "forward_")
    context = _enter(kind, context, "backward_layer")
    if config.get("backward_layer"):
        for prefix in ("backward_", ""):  # Keras 3 does not rename a backward layer that the program made.
            yield from _describe_layer(config["backward_layer"], context, prefix)
    else:
        yield from _describe_layer(forward, context._replace(backward=not context.backward), "backward_")


def _enter(kind: str, context: Description, part: str) -> Description:
    """The context of a layer that is `part` of a layer of the class `kind`."""
    context = context._replace(path=f"{context.path}/{part}")
    return context if kind in _WRAPPERS else _with_remark(context, f"inside {kind}")


def _with_remark(description: Description, remark: str) -> Description:
    """The description with one more remark; an empty one is not added."""
    return description._replace(remark=", ".join(filter(None, [description.remark, remark])))


def _difference(kind: str, config: Config) -> str:
    """How an LSTM with this config differs from a plain one. The config of CuDNNLSTM names no activations."""
    remarks = [] if kind in _LSTMS else [f"of the class {kind}"]
    remarks += [
        f"{key} {config[key]}" for key, default in sorted(_ACTIVATIONS.items()) if config.get(key, default) != default
    ]
    return ", ".join(remarks)


def _group_names(layers: Iterable[Config]) -> Iterator[str]:
    """The names of the layers' groups. Keras makes them from the names of classes: CuDNNLSTM gives cu_dnnlstm."""
    counts: collections.Counter[str] = collections.Counter()
    for layer in layers:
        words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer["class_name"]))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
        yield name + (f"_{counts[name]}" if counts[name] else "")
        counts[name] += 1
