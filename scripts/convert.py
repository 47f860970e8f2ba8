"""Converts the LSTM layers in a file into those of another library.

Finds the layers, prints what it found and what it will write, writes it under a temporary name, reads it back, compares
every array bit for bit, and gives it its name. Files: TensorFlow checkpoints of rnn_cell's cells and of StackedLSTM,
Keras' .weights.h5, .h5 and .keras, PyTorch's state_dict as .safetensors or .npz, ONNX. From one TensorFlow checkpoint
to another, all other variables are kept as they are, and what an optimizer keeps for the layers is converted with them.
Exits with 2 where it could not convert; all files are then as they were.

    python scripts/convert.py --from=model.ckpt-1000 --to=own.ckpt --to_format=stacked_lstm
    python scripts/convert.py --from=model.weights.h5 --to=model.onnx --dry_run
"""

from absl import flags

import command
from stacked_lstm import checkpoints, checks, layouts
from stacked_lstm.checkpoints import files, slots

FLAGS = flags.FLAGS

flags.DEFINE_string("from", None, "File to read, or prefix or folder of a TensorFlow checkpoint.")
flags.DEFINE_string("to", None, "File to write, or prefix of a TensorFlow checkpoint.")
flags.DEFINE_enum("from_format", None, list(checkpoints.FORMATS), "Of --from; default: by suffix and content.")
flags.DEFINE_enum("to_format", None, list(checkpoints.FORMATS), "Of --to; default: by suffix.")
flags.DEFINE_string(
    "layers",
    None,
    "Regular expression that matches the names of those layers that are meant. Keras' are taken in the file's order, "
    "one above the other; if the model is no chain, this picks those that are.",
)
flags.DEFINE_float("forget_bias", 1.0, "What the cells in an rnn_cell checkpoint add to the forget gate at run time.")
flags.DEFINE_float("to_forget_bias", 1.0, "The same of the cells that an rnn_cell checkpoint is written for.")
flags.DEFINE_string(
    "to_scope",
    None,
    "Names in --to: of a StackedLSTM (stacked_lstm), of cells (rnn/multi_rnn_cell/cell_%d/lstm_cell, or rnn/lstm_cell "
    'for one), a prefix ("lstm.") for PyTorch and ONNX. With --template: a regular expression for the names of those '
    "layers there that are replaced.",
)
flags.DEFINE_string(
    "template", None, "Existing file of the format of --to; all but its LSTM layers' arrays is taken from it."
)
flags.DEFINE_list(
    "averages",
    list(slots.AVERAGES),
    "Names that the program gave its ExponentialMovingAverage: what is kept under these has the forget bias that the "
    "variables have; what else an optimizer keeps has none.",
)
flags.DEFINE_boolean("overwrite", False, "Replace --to if it exists.")
flags.DEFINE_boolean("dry_run", False, "Only print what would be written.")

COLUMNS = ("layer", "layout", "direction", "I", "H", "P", "biases", "forget bias", "peepholes", "dtype", "beside it")


def row_of(layer):
    """A row of the table of layers, as text, for a `checkpoints.FoundLayer`."""
    input_size, hidden_size, projected = checkpoints.sizes(layer.layer)
    biases, peepholes = ("yes" if name in layer.layer else "no" for name in ("bf", "pf"))
    beside = ["/".join(slot).lstrip("/") + " (average)" * (slot[1] in FLAGS.averages) for slot in layer.slots]
    return (
        [layer.name, layer.layout, layer.direction, str(input_size), str(hidden_size), str(projected or "-")]
        + [biases, f"{layer.forget_bias:g}" if adds_forget_bias(layer) else "-", peepholes]
        + [layer.layer["Wf"].dtype.name, ", ".join(beside + [layer.remark] * bool(layer.remark))]
    )


def adds_forget_bias(layer):
    """Whether its library adds a forget bias at run time, so that what the table says is an assumption."""
    return bool(layouts.LAYOUTS[layer.layout].forget_bias)


def print_table(rows):
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print(("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths))).rstrip())


def report_found(source):
    print(f"Layers in {source.path}:")
    print_table([COLUMNS] + [row_of(layer) for layer in source.layers])
    if source.left and FLAGS.layers:
        print(f"{len(source.left)} others are not named by --layers.")
    elif source.left:
        print("These may be LSTM layers, too; they are only if --layers names them:")
        print_table([COLUMNS] + [row_of(layer) for layer in source.left])


def report_plan(source, planned, kept):
    print(f"\nTo be written to {FLAGS.to}:")
    print_table(
        [("layer", "as", "array", "shape")]
        + [
            (layer.name, location.layout, name, "x".join(map(str, planned.content.arrays[name].shape)))
            for layer, location in zip(source.layers, planned.locations)
            for name in location.names.values()
        ]
    )
    if FLAGS.template:
        print(f"All else is as in {FLAGS.template}.")
        replaced = [name + "/" for location in planned.locations for name in location.names.values()]
        kept = [name for name in planned.content.arrays if any(each in name for each in replaced)]
        if kept:
            print(f"That goes for {len(kept)} arrays that an optimizer keeps for these layers, too.")
    elif source.others:
        print(f"{len(source.others)} other arrays {'are kept as they are' if kept else 'stay behind'}.")


def check_one_network(source):
    """Raises ValueError where nobody said which of several networks is meant."""
    networks = sorted({layer.network for layer in source.layers})
    if len(networks) > 1 and not FLAGS.layers and not FLAGS.template:
        checks.fail("flags", "`--layers` to name the layers of one stack, as there are several", ", ".join(networks))


def is_checkpoint(path, format):
    """Whether it is a TensorFlow checkpoint."""
    name = format or checkpoints.format_of(path)
    return name is None or not checkpoints.FORMATS[name].suffixes


def convert():
    for name in ("from", "to"):
        if not FLAGS[name].value:
            checks.fail("flags", f"`--{name}` to name a file", repr(FLAGS[name].value))
    files.check_free(FLAGS.to, FLAGS.overwrite)
    source = checkpoints.read(FLAGS["from"].value, FLAGS.from_format, FLAGS.layers, FLAGS.forget_bias)
    report_found(source)
    check_one_network(source)
    keep = (
        all(is_checkpoint(FLAGS[name].value, FLAGS[name + "_format"].value) for name in ("from", "to"))
        and not FLAGS.template
    )
    planned = checkpoints.plan(
        FLAGS.to,
        source.layers,
        format=FLAGS.to_format,
        scope=FLAGS.to_scope,
        forget_bias=FLAGS.to_forget_bias,
        others=source.others if keep else None,
        template=FLAGS.template,
        averages=FLAGS.averages,
    )
    report_plan(source, planned, keep)
    if FLAGS.dry_run:
        print("\nNothing was written (--dry_run).")
        return
    checkpoints.carry_out(planned, FLAGS.overwrite)
    print(f"\nWrote {FLAGS.to}, and read it back: {len(planned.content.arrays)} arrays, the same bits.")


def main():
    with command.one_line_errors(__file__):
        convert()


if __name__ == "__main__":
    command.run(main)
