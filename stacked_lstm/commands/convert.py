"""Converts the LSTM layers of a file for another library.

Reads TensorFlow checkpoints of StackedLSTM and of TensorFlow 1's cells, Keras files (.weights.h5, .h5, .hdf5, .hd5,
.keras), PyTorch state_dicts (.safetensors, .npz), ONNX models and the .npz files of stacked_lstm.runtime, and writes
any of them. It prints the layers that it finds and the arrays that it will write. It writes the file under a temporary
name, reads it back, compares every array bit for bit, and only then renames it. From one TensorFlow checkpoint to
another it keeps all other variables, and it converts what an optimizer keeps for the layers. An initial state that the
new file cannot hold is an error, unless --zero_initial_state leaves it out.

The exit status is 0 after success, 2 if the file could not be written, and 130 after an interrupt. With status 2, no
file has changed.

    stacked-lstm-convert --from=model.ckpt-1000 --to=own.ckpt --to_format=stacked_lstm
    stacked-lstm-convert --from=model.weights.h5 --to=model.onnx --dry_run
    stacked-lstm-convert --from=own.ckpt --to=new.keras --template=model.keras
    stacked-lstm-convert --from=own.ckpt --to=model.npz --to_format=stacked_lstm
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import Iterator, Mapping

from absl import flags

from stacked_lstm import checkpoints
from stacked_lstm.checkpoints import slots
from stacked_lstm.checkpoints.safety import atomic_files, child_process
from stacked_lstm.commands import command, conversion_report

# Arguments in the messages of `checkpoints` -> what users of the command know.
_READ_ARGUMENTS = {
    "format": "--from_format",
    "names": "--layers",
    "forget_bias": "--forget_bias",
    "max_bytes": "--max_bytes",
}
_WRITE_ARGUMENTS = {
    "format": "--to_format",
    "layers": "the layers that --layers selects",
    "scope": "--to_scope",
    "forget_bias": "--to_forget_bias",
    "other_arrays": "the other variables",
    "template": "--template",
    "template_names": "--template_layers",
    "overwrite=True": "--overwrite",
    "max_bytes": "--max_bytes",
    "initial_state": "the initial state",
    "initial_state=[]": "--zero_initial_state",
}


def define_flags(values: flags.FlagValues) -> None:
    """Adds the flags of the command.

    Args:
      values: where to add them.
    """
    formats = list(checkpoints.FORMATS)
    for name, default, text in [
        ("from", None, "File to read, or prefix or folder of a TensorFlow checkpoint."),
        ("to", None, "File to write, or prefix of a TensorFlow checkpoint."),
        (
            "layers",
            None,
            "Regular expression that matches the complete names of the layers to convert (default: all layers that "
            "certainly are LSTM layers). Keras layers are converted in the order of the file, as if each one read the "
            "outputs of the one before. If a model has other connections, select layers for which this is true.",
        ),
        (
            "to_scope",
            None,
            "Name of the layers in a new file. For a checkpoint of StackedLSTM a scope (default: stacked_lstm); for "
            "cells rnn/lstm_cell or, if there are several, rnn/multi_rnn_cell/cell_%d/lstm_cell; for PyTorch and ONNX "
            'a prefix, for example "lstm."',
        ),
        (
            "template",
            None,
            "Existing file of the same format as --to. The new file is a copy of it with the converted layers in place "
            "of its own.",
        ),
        (
            "template_layers",
            None,
            "Regular expression that matches the complete names of the layers of --template to replace (default: all).",
        ),
    ]:
        flags.DEFINE_string(name, default, text, flag_values=values)
    default = "default: what the name of the file implies"
    flags.DEFINE_enum("from_format", None, formats, f"Format of --from ({default}).", flag_values=values)
    text = f"Format of --to ({default}; a name in .npz implies pytorch, or with --template the template's format)."
    flags.DEFINE_enum("to_format", None, formats, text, flag_values=values)
    for name, text in [
        (
            "forget_bias",
            "What the cells of an rnn_cell checkpoint add to the forget gate at run time; it is not in the file.",
        ),
        ("to_forget_bias", "What the cells that will restore a new rnn_cell checkpoint add to the forget gate."),
    ]:
        flags.DEFINE_float(name, 1.0, text, flag_values=values)
    text = (
        "Names that the program gave its ExponentialMovingAverage. Slots with these names contain the forget bias, as "
        "the variables do; other slots of an optimizer do not."
    )
    flags.DEFINE_list("averages", list(slots.AVERAGES), text, flag_values=values)
    text = (
        "Let the layers of --to start from zeros even if --from has a learned or projected initial state. It is kept "
        "without this flag if the format is stacked_lstm or onnx; other files have no place for it."
    )
    flags.DEFINE_boolean("zero_initial_state", False, text, flag_values=values)
    text = (
        "How many bytes the arrays of --from, and those of --template, may take together (default: 20 times the size "
        "of the file, at least 256 MiB). A damaged or malicious file may declare more than it holds."
    )
    flags.DEFINE_integer("max_bytes", None, text, lower_bound=1, flag_values=values)
    text = (
        "Read --from and --template in this process. Without this flag, the command does its work in a child process "
        "with limits of time and memory, because malicious files can end TensorFlow's reader, or make HDF5's run "
        "forever."
    )
    flags.DEFINE_boolean("trusted", False, text, flag_values=values)
    flags.DEFINE_boolean("overwrite", False, "Replace --to if it exists.", flag_values=values)
    flags.DEFINE_boolean("dry_run", False, "Print what would be written, and write nothing.", flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Converts the file.

    Args:
      values: the parsed flags.

    Raises:
      ValueError: the file cannot be read, converted or written; the message names the flag.
    """
    source, target = values["from"].value or "", values.to or ""
    for name, path in [("from", source), ("to", target)]:
        if not path:
            raise ValueError(f"--{name}: expected a file name, got none")
    to_tensorflow = _is_tensorflow_checkpoint(target, values.to_format)
    from_tensorflow = _is_tensorflow_checkpoint(source, values.from_format)
    if from_tensorflow or to_tensorflow:
        command.graph_mode()
    with _errors_name_flags("--to", _WRITE_ARGUMENTS):
        atomic_files.check_target(target, values.overwrite)
    with _errors_name_flags("--from", _READ_ARGUMENTS):
        checkpoint = checkpoints.read(source, values.from_format, values.layers, values.forget_bias, values.max_bytes)
    conversion_report.print_layers(checkpoint, values)
    _check_one_network(checkpoint, values)
    keeps_others = from_tensorflow and to_tensorflow and not values.template
    with _errors_name_flags("--to", _WRITE_ARGUMENTS, "--template" if values.template else "--to"):
        plan = checkpoints.plan(
            target,
            checkpoint.layers,
            format=values.to_format,
            scope=values.to_scope,
            forget_bias=values.to_forget_bias,
            other_arrays=checkpoint.other_arrays if keeps_others else None,
            template=values.template,
            template_names=values.template_layers,
            averages=values.averages,
            initial_state=[] if values.zero_initial_state else None,
            max_bytes=values.max_bytes,
        )
    conversion_report.print_plan(checkpoint, plan, keeps_others, values)
    conversion_report.print_forget_biases(checkpoint, plan, values)
    conversion_report.print_normalization(checkpoint, plan)
    if values.dry_run:
        print("\nNothing was written (--dry_run).")
        return
    with _errors_name_flags("--to", _WRITE_ARGUMENTS):
        plan.write(values.overwrite)
    print(f"\nWrote {target} and read it back: {len(plan.content.arrays)} arrays, bit for bit the same.")
    if to_tensorflow:
        conversion_report.print_latest(target)


def run() -> None:
    """Runs the command: the console script stacked-lstm-convert."""
    command.run(define_flags, _main_in_child_process)


def run_in_this_process() -> None:
    """Runs the command without a child process."""
    command.run(define_flags, main)


def _main_in_child_process(values: flags.FlagValues) -> None:
    """`main` in a child process with limits of time and memory, unless the files are trusted."""
    if values.trusted:
        main(values)
        return
    paths = [path for path in (values["from"].value, values.template) if path]
    with _errors_name_flags("--from", _READ_ARGUMENTS):
        allowed = child_process.limits_for(paths, values.max_bytes)
        function = "stacked_lstm.commands.convert:run_in_this_process"
        status, errors = child_process.call(function, sys.argv, allowed, " or ".join(paths))
    sys.stderr.write(errors)
    if status:
        sys.exit(status)


@contextlib.contextmanager
def _errors_name_flags(flag: str, arguments: Mapping[str, str], template_flag: str = "") -> Iterator[None]:
    """Lets ValueErrors of `checkpoints` name flags instead of functions and arguments.

    Args:
      flag: that of the file that the block reads or writes.
      arguments: name of an argument -> what to say instead.
      template_flag: that of the file that `checkpoints.plan` reads; empty if it reads none.
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        start = template_flag if template_flag and text.startswith("checkpoints.read: ") else flag
        text = re.sub(r"^(?:checkpoints|layouts)(?:\.\w+)?: ", start + ": ", text)
        text = re.sub(r"`([\w=\[\]]+)`", lambda match: arguments.get(match.group(1), match.group(0)), text)
        raise ValueError(text) from error


def _is_tensorflow_checkpoint(path: str, format: str | None) -> bool:
    name = checkpoints.format_of(path) or format
    return name is None or checkpoints.FORMATS[name].is_tensorflow_checkpoint


def _check_one_network(checkpoint: checkpoints.Checkpoint, values: flags.FlagValues) -> None:
    """Raises ValueError if the file has several networks and no flag selects one."""
    networks = sorted({layer.network for layer in checkpoint.layers})
    if len(networks) > 1 and not values.layers and not values.template:
        raise ValueError(
            f"--layers: expected the layers of one network, got {len(networks)} networks: {', '.join(networks)}; name "
            f"those of one, as in --layers='{networks[0]}.*'"
        )


if __name__ == "__main__":
    run()
