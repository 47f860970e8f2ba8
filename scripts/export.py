"""Writes a trained network to a file for other programs: ONNX, TFLite, SavedModel, frozen graph, or NumPy's .npz.

    python scripts/export.py --train_dir=runs/titles --to=titles.onnx
    python scripts/export.py --train_dir=runs/titles --to=titles.tflite --time_steps=30 --quantize=dynamic_range
    python scripts/export.py --train_dir=runs/forecast --to=models/forecast/1

--train_dir and --to are required. --train_dir is the output directory of train.py. The file has the whole network, from
the inputs of the task to its predictions: for titles from the numbers of the pieces of words and the lengths, for
fashion_mnist from the pixels, for forecast from the input hours. The command prints the names, dtypes and sizes of
inputs and outputs.

The file is run by the program that it is for: TensorFlow, ONNX Runtime or LiteRT. If that program computes other
numbers, no file is written. The inputs of this check are the first examples of the test part.

An .npz file is for `stacked_lstm.runtime`, which runs the LSTM layers without TensorFlow. It has the other arrays of
the network, too, such as the embedding, for a program that computes the rest with NumPy.

A TFLite file has fixed sizes: --batch_size examples and, for titles, --time_steps words. Shorter titles are padded, and
their lengths say so.

The exit status is 0 after success, 2 if the flags or the run do not allow the export, and 130 after an interrupt.
"""

import os

from absl import flags

from stacked_lstm.commands import command

FORMATS = ("frozen_graph", "saved_model", "onnx", "tflite", "npz")
QUANTIZATIONS = ("float16", "dynamic_range")


def define_flags(values):
    """Adds the flags to an `absl.flags.FlagValues`."""
    for name, text in (
        ("train_dir", "Output directory of train.py (required)."),
        ("to", "File to write, or folder for a SavedModel (required). It must not exist."),
        (
            "checkpoint",
            "A checkpoint, such as runs/titles/model.ckpt-151 (default: the best one, or else the last one).",
        ),
        ("data_dir", "Directory of the data, if they were moved after training."),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    text = "Format of --to (default: what the name implies: .onnx, .tflite, .pb, .npz; other names are SavedModels)."
    flags.DEFINE_enum("to_format", None, list(FORMATS), text, flag_values=values)
    text = "Smaller weights, for TFLite only (default: those of the checkpoint)."
    flags.DEFINE_enum("quantize", None, list(QUANTIZATIONS), text, flag_values=values)
    for name, default, text in (
        ("batch_size", 1, "Number of examples in a TFLite file, and in the check of the others"),
        ("time_steps", 20, "Number of words in a TFLite file for titles, and in the check of the others"),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)


def run(values):
    """Writes the file, and prints what it has.

    Args:
      values: `absl.flags.FlagValues` with the flags of `define_flags`.

    Raises:
      ValueError, OSError, ImportError: the flags or the run do not allow it; one line says why.
    """
    for name in ("train_dir", "to"):
        if not values[name].value:
            raise ValueError(f"--{name}: expected a path, got none")
    if os.path.lexists(values.to) or not os.path.isdir(os.path.dirname(os.path.abspath(values.to))):
        raise ValueError(f"--to: expected a new name in an existing folder, got {values.to}")
    command.graph_mode()
    from stacked_lstm import export
    from training.run_files import trained_network

    with trained_network.opened(values.train_dir, values.checkpoint, values.data_dir) as finished:
        inputs, outputs = finished.inputs, {"predictions": finished.network.predictions}
        example = first_examples(finished.task.test, inputs, values.batch_size, values.time_steps)
        try:
            differences = export.write(
                finished.session, inputs, outputs, values.to, example, values.to_format, values.quantize
            )
        except ValueError as error:
            raise ValueError(with_flags(str(error))) from error
        sizes = sizes_of(
            finished.session, {**inputs, **outputs}, example, export.format_of(values.to, values.to_format)
        )
    print(f"checkpoint: {finished.checkpoint}")
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for name, tensor in tensors.items():
            print(f"{kind}: {name} {tensor.dtype.base_dtype.name} {sizes[name]}")
    largest = "prediction" if "predictions" in differences else "number that the layers return"
    print(f"difference: {max(differences.values()):.1e} of the largest {largest}")
    print(f"wrote {values.to}")


def sizes_of(session, tensors, example, entry):
    """Name -> sizes of a tensor in the file: those of the example if they are fixed. None for one that may vary."""
    if not entry.has_fixed_sizes:
        return {name: tensor.shape.as_list() for name, tensor in tensors.items()}
    feed = {tensors[name]: array for name, array in example.items()}
    return {name: list(array.shape) for name, array in session.run(tensors, feed).items()}


def with_flags(message):
    """A message of `export.write` with the flags in place of its arguments."""
    message = message.replace("`quantize` to be None", "`quantize` to be none")
    for argument, flag in (("path", "--to"), ("format", "--to_format"), ("quantize", "--quantize")):
        message = message.replace(f"export.write: expected `{argument}` to be ", f"{flag}: expected ")
        message = message.replace(f"`{argument}`", flag)
    return message


def first_examples(examples, inputs, batch_size, time_steps):
    """Arrays of the first `batch_size` examples, for placeholders. Sequences are padded, or cut, to `time_steps`."""
    import numpy as np

    feed = examples.feed(np.arange(batch_size) % len(examples))
    arrays = {name: feed[name] for name in inputs}
    if "sequences" in arrays:
        sequences = arrays["sequences"][:, :time_steps]
        padding = [(0, 0), (0, time_steps - sequences.shape[1])] + [(0, 0)] * (sequences.ndim - 2)
        arrays["sequences"] = np.pad(sequences, padding, mode="constant")
        arrays["lengths"] = np.minimum(arrays["lengths"], time_steps)
    return arrays


def main(values):
    """Writes the file."""
    run(values)


if __name__ == "__main__":
    command.run(define_flags, main)
