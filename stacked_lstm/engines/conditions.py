"""Conditions that several engines share. `engine.Engine` says what a condition is."""

from __future__ import annotations

from typing import Callable, Sequence

from stacked_lstm.engines.place import Place
from stacked_lstm.layer import Layer


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


def standard_step(layers: Sequence[Layer], place: Place) -> str | None:
    """The layers have the step of `equations.step`, with or without extras."""
    del place
    return "the step has another equation" if any(layer.step for layer in layers) else None


def no_mask_on_states(layers: Sequence[Layer], place: Place) -> str | None:
    """Nothing multiplies c or h between steps."""
    if any(layer.noise and layer.noise.recurrent is not None for layer in layers):
        return "there is recurrent dropout"
    return no_mask_per_step(layers, place)


def no_mask_per_step(layers: Sequence[Layer], place: Place) -> str | None:
    """Nothing multiplies c or h between steps with a mask per step."""
    del place
    if any(layer.c_masks is not None for layer in layers):
        return "there is dropout on c with a mask per step"
    if any(layer.h_masks is not None for layer in layers):
        return "there is dropout on h with a mask per step"
    return None


def no_candidate_mask_to_draw(layers: Sequence[Layer], place: Place) -> str | None:
    """No mask of the candidate is still to be drawn. recurrent_dropout.py draws such masks in calls for one stack."""
    del place
    if any(layer.noise and callable(layer.noise.candidate) for layer in layers):
        return "there is recurrent dropout of the candidate by a cell"
    return None


def no_mask_for_all_steps(layers: Sequence[Layer], place: Place) -> str | None:
    """No layer has one mask on h for all steps. With such masks, recurrent_dropout.py makes other calls."""
    del place
    return "there is dropout on h" if any(layer.h_mask is not None for layer in layers) else None


# The fields of `equations.Extras`, and what an engine says that lacks them.
_EXTRAS = {
    "peepholes": "it has no peepholes",
    "cell_clip": "it does not clip the cell state",
    "projection": "it has no projection",
    "projection_clip": "it does not clip the projection",
}


def no_extras_except(*names: str) -> Callable:
    """Makes the condition that the layers have none of the `equations.Extras` except these."""

    def extras(layers: Sequence[Layer], place: Place) -> str | None:
        del place
        for name, words in _EXTRAS.items():
            if name not in names and any(getattr(layer.extras, name) is not None for layer in layers):
                return words
        return None

    return extras


def without_norm_and_noise(layers: Sequence[Layer], place: Place) -> str | None:
    """The layers have no layer normalization, recurrent dropout of the candidate, zoneout or resets."""
    return without_norm(layers, place) or without_noise(layers, place)


def without_noise(layers: Sequence[Layer], place: Place) -> str | None:
    """The layers have no recurrent dropout of the candidate, zoneout or resets."""
    del place
    noises = [layer.noise for layer in layers if layer.noise]
    if any(layer.resets for layer in layers):
        return "there are resets"
    if any(noise.zoneout_c is not None or noise.zoneout_h is not None for noise in noises):
        return "there is zoneout"
    if any(noise.candidate is not None for noise in noises):
        return "there is recurrent dropout of the candidate"
    return None


def without_norm(layers: Sequence[Layer], place: Place) -> str | None:
    """The layers have no layer normalization."""
    del place
    return "there is layer normalization" if any(layer.norm for layer in layers) else None


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
