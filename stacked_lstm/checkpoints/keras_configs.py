"""What the config in a Keras file says of its LSTM layers."""

import collections
import re

Description = collections.namedtuple("Description", ["path", "name", "backward", "remark"])
Description.__doc__ = """One LSTM layer of a config.

Fields:
  path: its group in a .keras file, e.g. "layers/bidirectional/forward_layer".
  name: its name, which a .h5 file's groups have.
  backward: whether it reads a sequence backward.
  remark: activations other than an LSTM's, or "".
"""

_ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def described(config):
    """List of `Description` of all layers of a model's config, in the order of the network."""
    return list(_walk(config.get("config", {}), ""))


def of_layer(descriptions, scope):
    """The `Description` of the layer whose arrays are in a group of the file; None if there is none."""
    by_path = scope.startswith("layers/")  # In .keras files, whose groups are not called as the layers are.
    for description in descriptions:
        if (scope + "/").startswith(description.path + "/") if by_path else description.name in scope.split("/"):
            return description
    return None


def _walk(model, path):
    counts = collections.Counter()
    layers = model if isinstance(model, list) else model.get("layers", [])  # A list is what the oldest files have.
    for layer in layers:
        name, own = _group(layer["class_name"]), layer.get("config", {})
        group = "%slayers/%s" % (path, name + ("_%d" % counts[name] if counts[name] else ""))
        counts[name] += 1
        if layer["class_name"] == "Bidirectional":
            yield _described(own["layer"], group + "/forward_layer", "forward_", False)
            yield _described(own.get("backward_layer") or own["layer"], group + "/backward_layer", "backward_", True)
        elif "layers" in own:
            yield from _walk(own, group + "/")
        else:
            yield _described(layer, group, "", own.get("go_backwards", False))


def _described(layer, group, prefix, backward):
    own = layer.get("config", {})
    name = own.get("name", "")
    name = prefix + re.sub("^(?:forward|backward)_", "", name) if prefix else name
    # CuDNNLSTM has none in its config.
    others = ["%s %s" % (key, own[key]) for key, usual in sorted(_ACTIVATIONS.items()) if own.get(key, usual) != usual]
    return Description(group, name, backward, ", ".join(others))


def _group(class_name):
    """The name of a layer's group, as Keras makes it of that of its class: CuDNNLSTM is cu_dnnlstm."""
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
