"""Conditions that several engines share. `engine.Engine` says what a condition is."""

from __future__ import annotations

from typing import Callable, Sequence

from stacked_lstm.engines.place import Place
from stacked_lstm.lstm import layer_features
from stacked_lstm.lstm.layer import Layer


def dtypes(*names: str) -> Callable:
    """Makes the condition that the layers have one of these dtypes."""

    def dtype(layers: Sequence[Layer], place: Place) -> str | None:
        del place
        for name in sorted({layer.dtype.name for layer in layers} - set(names)):
            return f"it computes in {' and '.join(names)}, not in {name}"
        return None

    return dtype


def device_type(name: str) -> Callable:
    """Makes the condition that new ops are on a device of this type, or that no device is named."""

    def device(layers: Sequence[Layer], place: Place) -> str | None:
        del layers
        spec = place.device
        # `place.device_type` may look for a GPU, so it comes last.
        runs_there = spec.device_type in (None, name) or place.device_type == name
        return None if runs_there else f"the device is {spec.to_string()}"

    return device


def without(*features: str) -> Callable:
    """Makes the condition that no layer has any of these features of `layer_features`."""

    def features_allowed(layers: Sequence[Layer], place: Place) -> str | None:
        del place
        present = layer_features.present(layers, features)
        return f"it does not support {present[0]}" if present else None

    return features_allowed


def only(*features: str) -> Callable:
    """Makes the condition that the layers have none of the features of `layer_features` except these."""
    return without(*layer_features.all_except(*features))


def one_epsilon(layers: Sequence[Layer], place: Place) -> str | None:
    """The norms of a layer have the same epsilon."""
    del place
    if any(layer.norm and layer.norm.gates.epsilon != layer.norm.cell.epsilon for layer in layers):
        return "the norms of a layer have different epsilons"
    return None


# The conditions below are for `Engine.prefers`.


def in_this_process(layers: Sequence[Layer], place: Place) -> str | None:
    """New ops are not for another process, which may have neither the native ops nor a GPU.

    A program that names an engine gets it on any job, because the job's process may well be able to run it.
    """
    del layers
    if place.device.job in (None, "localhost"):
        return None
    return f"the device is {place.device.to_string()}, and what that process can run is not known here"


def outside_of_functions(layers: Sequence[Layer], place: Place) -> str | None:
    """New ops are not in a function or a loop. XLA may compile those, and it cannot compile the engines' own ops."""
    del layers
    return "XLA may compile what is inside functions and loops" if place.inside_function else None
