"""Writes the predictions of a trained network as CSV, for the test set of its task or for your own titles.

    python scripts/predict.py --train_dir=runs/titles --only_errors
    python scripts/predict.py --train_dir=runs/titles --input=titles.txt --output=predictions.csv
    echo 北京今天下雪 | python scripts/predict.py --train_dir=runs/titles --input=-
    python scripts/predict.py --train_dir=runs/forecast
    python scripts/predict.py --train_dir=runs/forecast --output=forecast.csv --gates=runs/forecast-gates

--train_dir is required. It is the output directory of train.py, and the flags of that run are used.

For titles and fashion_mnist, each row is one example: its label, the prediction and the probabilities of the classes.
For forecast, each row is one hour of the test set: the measured temperature, and the forecast that was made at the end
of the previous day. The first three days of the test set are left out. The network needs 48 input hours, and the input
of each hour needs the temperature of the day before.

--input is for titles: one title per line, in UTF-8. Pieces of words that are not in the vocabulary are mapped to the
unknown piece. A title without words is classified, too. Without --input, the task reads its data again, and the table
has the test set. forecast also reads the training data, because it scales temperatures by their mean and their
deviations.

A spreadsheet treats a text that begins with =, +, - or @ as a formula. Therefore, an apostrophe is written in front of
each text that begins with one of these characters, one of their full-width forms, a tab, a line end or an apostrophe.
To get the text back, remove the first character of each text that begins with an apostrophe. --noguard_formulas writes
all texts as they are.

--gates also writes the states and gates of all time steps to a directory: histograms and images for TensorBoard, and
the images as gates.png. The images show the first example. The histograms count the first 64 examples.

The exit status is 0 after success, 2 if the flags, the run or the data do not allow predictions, and 130 after an
interrupt.
"""

import csv
import os
import sys

from absl import flags

from shared import file_errors
from stacked_lstm.commands import choices, command, output_files

# What makes a spreadsheet compute a text, and the apostrophe, which otherwise could not be told from a guard.
GUARDED = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")


def define_flags(values):
    """Adds the flags to an `absl.flags.FlagValues`."""
    for name, text in (
        ("train_dir", "Output directory of train.py (required)."),
        (
            "checkpoint",
            "A checkpoint, such as runs/titles/model.ckpt-151 (default: the best one, or else the last one).",
        ),
        ("input", "File of titles, one per line, in UTF-8. -: stdin (default: the test set)."),
        ("data_dir", "Directory of the data, if they were moved after training."),
        ("output", "CSV file to write. -: stdout."),
        ("gates", "Directory for the gates of the first examples: summaries for TensorBoard, and gates.png."),
    ):
        flags.DEFINE_string(name, "-" if name == "output" else None, text, flag_values=values)
    flags.DEFINE_boolean("only_errors", False, "Write only the examples with a wrong prediction.", flag_values=values)
    flags.DEFINE_boolean(
        "guard_formulas",
        True,
        "Write an apostrophe in front of texts that a spreadsheet would compute, and of those that begin with one.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "engine",
        "auto",
        list(choices.ENGINES),
        "Engine of StackedLSTM; not necessarily that of the training.",
        flag_values=values,
    )


def run(values):
    """Predicts and writes the table.

    Args:
      values: `absl.flags.FlagValues` with the flags of `define_flags`.

    Raises:
      ValueError, OSError, ImportError: the flags, the run or the data do not allow it; one line says why.
    """
    if not values.train_dir:
        raise ValueError("--train_dir: expected the directory of a run of train.py, got none")
    if values.output != "-":
        output_files.check_file_name("output", values.output)
    if values.gates is not None:
        output_files.check_folder_name("gates", values.gates)
    command.graph_mode()
    from tasks import TASKS
    from training import experiment
    from training.run_files import checkpoints

    settings = experiment.read_settings(values.train_dir)
    settings["data_dir"] = values.data_dir or settings["data_dir"]
    if values.gates and settings["peer"]:
        raise ValueError(f"--gates: expected a run without --peer, got one with --peer={settings['peer']}")
    task = TASKS[settings["task"]](settings)
    task.restore()
    if values.input:
        examples = read_input(task, values.input)
    else:
        experiment.read_data(task)
        examples = task.test
    checkpoint = values.checkpoint or experiment.find_checkpoint(values.train_dir)
    checkpoints.check_name(checkpoint if values.checkpoint else None)
    print(f"checkpoint: {checkpoint}", file=sys.stderr)
    flag = "--checkpoint" if values.checkpoint else "--train_dir"
    predictions = experiment.predict(task, examples, checkpoint, values.engine, flag)
    if values.gates:
        from training import gates

        gates.write(task, examples, checkpoint, values.gates)
    table = task.table(examples, predictions, values.only_errors)
    if values.guard_formulas:
        table = [[guard(value) for value in row] for row in table]
    with file_errors.named("--output", "stdout" if values.output == "-" else values.output, "write"):
        write(table, values.output)


def guard(value):
    """Returns a text with an apostrophe in front if it begins with one of `GUARDED`; other values as they are.

    >>> guard("=1+1"), guard("'s"), guard("1+1"), guard(-1.5)
    ("'=1+1", "''s", '1+1', -1.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(GUARDED) else value


def read_input(task, path):
    """Returns the user's examples, from a file or stdin. Raises ValueError if there is no such file."""
    if path == "-":
        with file_errors.named("--input", "stdin"):
            return task.read_input(sys.stdin.buffer)
    if not os.path.isfile(path):
        raise ValueError(f"--input: expected a file, or - for stdin, got {path}")
    with file_errors.named("--input", path), open(path, "rb") as file:
        return task.read_input(file)


def write(table, path):
    """Writes rows as CSV in UTF-8, all text quoted.

    Args:
      table: a list of rows.
      path: a file, which is then complete or absent; a device or a pipe; or - for stdout.
    """
    path = path if path == "-" else os.path.realpath(path)  # A link stays a link.

    def write_to(file):
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(table)

    def write_file(temporary):
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            write_to(file)

    if path == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        write_to(sys.stdout)
        sys.stdout.flush()
    elif os.path.exists(path) and not os.path.isfile(path):
        write_file(path)
    else:
        output_files.replace(path, write_file)


def main(values):
    """Predicts and writes the table."""
    run(values)


if __name__ == "__main__":
    command.run(define_flags, main)
