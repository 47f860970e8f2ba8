"""Conditions that several engines have, and functions that make them; `engine.Engine` says what a condition is."""

from stacked_lstm import equations


def dtypes(*names):
    """The layers compute in one of the dtypes with these names."""

    def dtype(layers, place):
        del place
        for name in sorted({layer.dtype.name for layer in layers} - set(names)):
            return f"it computes in {' and '.join(names)}, not in {name}"
        return None

    return dtype


def device_type(name):
    """The device of new ops has this type, or none is named."""

    def device(layers, place):
        del layers
        spec = place.device
        return None if spec.device_type in (None, name) else f"the device is {spec.to_string()}"

    return device


def plain_equations(layers, place):
    """The layers have the equations of `StackedLSTM`, with nothing beyond."""
    del place
    if any(layer.step for layer in layers):
        return "the step has another equation"
    plain = all(layer.extras == equations.PLAIN for layer in layers)
    return None if plain else "there are peepholes, a projection or clips"


# What "auto" asks besides.


def in_this_process(layers, place):
    """The ops are not for another process, which may have neither the native ops nor a GPU.

    By name an engine is taken on any job: this may well be the process that runs it, as between parameter servers.
    """
    del layers
    remote = "the device is %s, and what that process can run is not known here"
    return None if place.device.job in (None, "localhost") else remote % place.device.to_string()


def outside_of_functions(layers, place):
    """The ops are not in a function or a loop, which XLA may compile: it compiles none of the engines' ops."""
    del layers
    return "XLA may compile what is inside functions and loops" if place.inside_function else None
