"""What a conversion of a file prints: the layers that it finds, the arrays that it writes, and what it assumes."""

from __future__ import annotations

import os
from typing import Sequence

from absl import flags

from stacked_lstm import checkpoints, layouts

_COLUMNS = (
    "layer", "layout", "direction", "I", "H", "P", "biases", "forget bias", "peepholes", "dtype", "slots, remarks",
)  # fmt: skip

_SHOWN = 10  # Other arrays that the command names.


def print_layers(checkpoint: checkpoints.Checkpoint, values: flags.FlagValues) -> None:
    """Prints the layers that are converted, and those that may be LSTM layers, too."""
    print(f"Layers in {checkpoint.path}:")
    _print_table([_COLUMNS] + [_row(layer, values.averages) for layer in checkpoint.layers])
    other_layers = checkpoint.other_layers
    if other_layers and values.layers:
        print(f"--layers leaves out {len(other_layers)} other layer{'s' * (len(other_layers) > 1)}.")
    elif other_layers:
        print("These may be LSTM layers, too. They are converted only if --layers names them:")
        _print_table([_COLUMNS] + [_row(layer, values.averages) for layer in other_layers])


def _row(layer: checkpoints.CheckpointLayer, averages: Sequence[str]) -> Sequence[str]:
    """A row of the table of layers."""
    input_size, hidden_size, projection_size = layer.sizes
    has_biases, has_peepholes = ("yes" if name in layer.weights else "no" for name in ("bf", "pf"))
    remarks = ["/".join(slot).lstrip("/") + " (average)" * (slot[1] in averages) for slot in layer.slots]
    remarks += [layer.remark] * bool(layer.remark)
    if layer.initial_state:
        remarks.append(f"initial state {'projected' if 'W_h' in layer.initial_state else 'learned'}")
    return [
        layer.name,
        layer.layout,
        layer.direction,
        str(input_size),
        str(hidden_size),
        str(projection_size or "-"),
        has_biases,
        f"{layer.forget_bias:g}" if _adds_forget_bias(layer.layout) else "-",
        has_peepholes,
        layer.weights["Wf"].dtype.name,
        ", ".join(remarks),
    ]


def print_plan(
    checkpoint: checkpoints.Checkpoint, plan: checkpoints.Plan, keeps_others: bool, values: flags.FlagValues
) -> None:
    """Prints the arrays that will be written, and what happens to the other arrays. `keeps_others`: they are kept."""
    print(f"\nTo be written to {plan.path}:")
    rows: list[Sequence[str]] = [("layer", "layout", "array", "shape")]
    for layer, location in zip(checkpoint.layers, plan.locations):
        for name in [*location.array_names.values(), *location.initial_state.values()]:
            shape = "x".join(map(str, plan.content.arrays[name].shape))
            rows.append((layer.name, location.layout, name, shape))
    _print_table(rows)
    if values.zero_initial_state:
        names = [name for layer in checkpoint.layers for name in layer.location.initial_state.values()]
        print(f"Left out (--zero_initial_state): {', '.join(names) or 'nothing'}.")
    others = len(checkpoint.other_arrays)
    if values.template:
        print(f"Everything else stays as it is in {values.template}.")
        replaced = [name + "/" for location in plan.locations for name in location.array_names.values()]
        slot_count = sum(any(variable in name for variable in replaced) for name in plan.content.arrays)
        if slot_count:
            print(f"This includes {slot_count} arrays that an optimizer keeps for these layers.")
    elif others:
        shown = sorted(checkpoint.other_arrays)[:_SHOWN] + ["..."] * (others > _SHOWN)
        action = "Kept unchanged" if keeps_others else "Not converted"
        print(f"{action}: {others} other array{'s' * (others > 1)} ({', '.join(shown)}).")


def print_forget_biases(checkpoint: checkpoints.Checkpoint, plan: checkpoints.Plan, values: flags.FlagValues) -> None:
    """Tells which forget biases were assumed, except where reading and writing assume the same one."""
    sources = sorted({layer.network or layer.name for layer in checkpoint.layers if _adds_forget_bias(layer.layout)})
    targets = [location.name for location in plan.locations if _adds_forget_bias(location.layout)]
    is_assumed = {name: values[name].using_default_value for name in ("forget_bias", "to_forget_bias")}
    if sources and targets and all(is_assumed.values()):
        return
    if is_assumed["forget_bias"]:
        for network in sources:
            print(f"Assumed: the cells of {network} add {values.forget_bias:g} to the forget gate (--forget_bias).")
    if is_assumed["to_forget_bias"] and targets:
        print(f"Assumed: the new cells will add {values.to_forget_bias:g} to the forget gate (--to_forget_bias).")


def print_normalization(checkpoint: checkpoints.Checkpoint, plan: checkpoints.Plan) -> None:
    """Tells that a StackedLSTM with layer normalization was assumed to be like TensorFlow's cell."""
    pairs = zip(checkpoint.layers, plan.locations)
    layers = [layer for layer, to in pairs if layer.layout == layouts.OWN and to.layout == "layer_norm_cell"]
    for network in sorted({layer.network or layer.name for layer in layers}):
        print(f"Assumed: {network} has `layer_norm='tensorflow'`. With `layer_norm=True` the numbers differ.")


def _adds_forget_bias(layout: str) -> bool:
    return bool(layouts.LAYOUTS[layout].forget_bias)


def print_latest(target: str) -> None:
    """Tells if TensorFlow's file `checkpoint` names another checkpoint than the one that was written."""
    from stacked_lstm.checkpoints.tensorflow import tensorflow_checkpoints

    latest = tensorflow_checkpoints.latest(target)
    if latest is not None and os.path.abspath(latest) != os.path.abspath(target):
        print(f"The file `checkpoint` beside it still names {latest} as the latest checkpoint.")


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print(("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths))).rstrip())
