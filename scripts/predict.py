"""Writes what a trained network says of its task's test examples, or of a user's own, as CSV.

    python scripts/predict.py --train_dir=runs/titles --only_errors
    python scripts/predict.py --train_dir=runs/titles --input=titles.txt --output=predictions.csv
    echo 北京今天下雪 | python scripts/predict.py --train_dir=runs/titles --input=-
    python scripts/predict.py --train_dir=runs/forecast

Which network:    --train_dir --checkpoint --engine
Of what:          --input --data_dir
What to write:    --only_errors --output

--train_dir is that of a run of train.py, whose flags it uses. The rows are: for titles and fashion_mnist an example
each, with its label, the prediction and the classes' probabilities; for forecast an hour each, with its temperature and
the forecast made when the day before had ended, of all whole days of the test part after its first three. Titles can be
the user's: one per line, in UTF-8; words that are not in the vocabulary are the unknown word, and a title without words
has an answer, too. Without --input the data are read as in training, of which forecast takes its units.
"""

import csv
import os
import sys

from absl import flags

import command
import files
from stacked_lstm.compat import tf
from stacked_lstm.engines import ENGINES
from tasks import TASKS
from training import experiment

FLAGS = flags.FLAGS


def define_flags(values=FLAGS):
    """Adds the flags to an `absl.flags.FlagValues`."""
    for name, text in (
        ("train_dir", "Directory of the run."),
        ("checkpoint", "Its checkpoint, such as runs/titles/model.ckpt-151 (default: the best one, or else the last)."),
        ("input", "File of titles, one per line, in UTF-8; - is stdin (default: the test examples)."),
        ("data_dir", "Directory of the data, if it is not where it was in training."),
        ("output", "CSV file to write; - is stdout."),
    ):
        flags.DEFINE_string(name, "-" if name == "output" else None, text, flag_values=values)
    flags.DEFINE_boolean("only_errors", False, "Only the examples whose prediction is wrong.", flag_values=values)
    flags.DEFINE_enum(
        "engine", "auto", ["auto"] + list(ENGINES), "What runs StackedLSTM, whatever trained it.", flag_values=values
    )
    flags.register_validator(
        "train_dir", lambda path: path is not None, "expected the directory of a run", flag_values=values
    )


def run(values):
    """Does what the script does; takes `absl.flags.FlagValues`.

    Raises:
      ValueError, OSError, ImportError: the flags, the run or the data do not allow it; one line says why.
    """
    check_output(values.output)
    settings = experiment.settings_of(values.train_dir)
    settings["data_dir"] = values.data_dir or settings["data_dir"]
    task = TASKS[settings["task"]](settings)
    task.restore()
    if values.input:
        examples = read_input(task, values.input)
    else:
        task.read()
        examples = task.test
    checkpoint = values.checkpoint or experiment.checkpoint_of(values.train_dir)
    if values.checkpoint and not tf.train.checkpoint_exists(checkpoint):
        raise ValueError(f"--checkpoint: expected a checkpoint such as runs/titles/model.ckpt-151, got {checkpoint}")
    print(f"checkpoint: {checkpoint}", file=sys.stderr)
    predictions = experiment.predict(task, examples, checkpoint, values.engine)
    write(task.table(examples, predictions, values.only_errors), values.output)


def read_input(task, path):
    """The user's examples, from a file or stdin. Raises ValueError if there is no such file."""
    if path == "-":
        return task.read_input(sys.stdin.buffer)
    if not os.path.isfile(path):
        raise ValueError(f"--input: expected a file, or - for stdin, got {path}")
    with open(path, "rb") as file:
        return task.read_input(file)


def check_output(path):
    """Raises ValueError if no file can be there."""
    folder = os.path.dirname(os.path.realpath(path))
    if path != "-" and (os.path.isdir(path) or not os.path.isdir(folder)):
        raise ValueError(f"--output: expected the name of a file in an existing folder, got {path}")


def write(table, path):
    """Writes a list of rows as CSV in UTF-8, to a file, which is whole or not there, to a device or pipe, or to stdout.

    All text is quoted: a title may hold anything.
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
    elif os.path.exists(path) and not os.path.isfile(path):
        write_file(path)
    else:
        files.replace(path, write_file)


def main():
    with command.one_line_errors(os.path.basename(sys.argv[0])):
        run(FLAGS)


if __name__ == "__main__":
    define_flags()
    command.run(main)
