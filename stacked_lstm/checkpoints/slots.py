"""What an optimizer keeps for each variable, such as Adam's averages: it is carried over with the variable.

A slot is a variable of the same shape, called <variable>/<slot>, in TensorFlow 1 also <scope>/<variable>/<slot>. Its
numbers stand where the variable's stand; a forget bias is no part of them. It is part of averages of the values, which
are known by their slot's name: if the program gave its ExponentialMovingAverage another name, that has to be said.
"""

import collections

from stacked_lstm import layouts
from stacked_lstm.checkpoints.layers import fits, with_biases_of

AVERAGES = ("ExponentialMovingAverage",)


def added(layers, arrays):
    """The layers with their slots, and the names of all arrays that are a layer's or a slot's.

    Only those slots count that all variables of the layer have.

    Args:
      layers: list of `FoundLayer`.
      arrays: names -> arrays of the whole file.
    """
    owners = {name: (k, key) for k, layer in enumerate(layers) for key, name in layer.names.items()}
    names = [collections.OrderedDict() for _ in layers]
    for name in arrays:
        if name in owners:
            continue
        variable, _, slot = name.rpartition("/")
        parts = variable.split("/")
        for start in range(len(parts)):
            k, key = owners.get("/".join(parts[start:]), (None, None))
            if k is not None:
                names[k].setdefault(("/".join(parts[:start]), slot), {})[key] = name
                break
    used, whole = set(owners), []
    for layer, of_layer in zip(layers, names):
        slots = collections.OrderedDict()
        for slot, by_key in of_layer.items():
            if set(by_key) == set(layer.names) and fits(by_key, arrays, layer.layout):
                own = {key: arrays[name] for key, name in by_key.items()}
                slots[slot] = layouts.unpack(own, layer.layout, 0.0)
                used.update(by_key.values())
        whole.append(layer._replace(slots=slots))
    return whole, used


def packed(layer, location, forget_bias, averages):
    """Names -> arrays of a layer's slots, beside the variables at a `Location`.

    Args:
      forget_bias: what is added at run time there.
      averages: names of the slots that are averages of the variables.
    """
    arrays = {}
    for (scope, slot), kept in layer.slots.items():
        kept = with_biases_of(location, kept)
        change = forget_bias - layer.forget_bias if slot in averages else 0.0
        of_slot = layouts.pack(kept, location.layout, change)
        for key, name in location.names.items():
            arrays["/".join([scope] * bool(scope) + [name, slot])] = of_slot[key]
    return arrays
