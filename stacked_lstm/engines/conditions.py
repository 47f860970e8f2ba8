"""Conditions that several engines have; see `engine.Engine`."""

from stacked_lstm import equations


def dtypes(layers, known):
    """The layers compute in one of the dtypes named in `known`."""
    for name in sorted({layer.dtype.name for layer in layers} - set(known)):
        return "it computes in %s, not in %s" % (" and ".join(known), name)
    return None


def plain_equations(layers, place):
    """The layers have the equations of `StackedLSTM`, with nothing beyond."""
    del place
    if any(layer.step for layer in layers):
        return "the step has another equation"
    plain = all(layer.extras == equations.PLAIN for layer in layers)
    return None if plain else "there are peepholes, a projection or clips"


def device_type(place, wanted):
    """The device of new ops has this type, or none is named."""
    return None if place.device.device_type in (None, wanted) else "the device is %s" % place.device.to_string()


# What "auto" asks beyond that.


def in_this_process(layers, place):
    """The ops are not for another process, which may have neither the native ops nor a GPU.

    By name an engine is taken on any job: this may well be the process that runs it, as between parameter servers.
    """
    del layers
    remote = "the device is %s, and what that process can run is not known here"
    return None if place.device.job in (None, "localhost") else remote % place.device.to_string()


def outside_of_functions(layers, place):
    """XLA, which compiles none of the engines' ops, has nothing to do with them."""
    del layers
    return "XLA may compile what is inside functions and loops" if place.inside_function else None
