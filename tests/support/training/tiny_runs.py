"""What tests of training share: tiny runs, and ways to look at what they leave."""

import csv
import json
import os

import absl.flags
import numpy as np

import train
from stacked_lstm.compat import tf
from support.training.task_data import write_images
from tasks import titles
from training.run_files import history

SCRIPTS = os.path.dirname(os.path.abspath(train.__file__))
IMAGES = {"train": 12, "test": 5}
# The word decides: 北京 is 0, 上海 is 1, 广州 is 2. The last words of each split occur only once.
TITLES = {
    "train": [("北京 下雪", 0), ("上海 今天 下雪 了", 1), ("广州 了", 2)] * 9 + [("天津", 1), ("重庆", 0), ("武汉", 2)],
    "test": [("今天 北京", 0), ("下雪 了 上海", 1), ("广州", 2), ("香港", 1), ("", 2)],
}


def arguments_in(tmp_path):
    """flag -> value of a run of 2 epochs of 3 batches, in `tmp_path`."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    write_images(data_dir, IMAGES)
    return _arguments("fashion_mnist", data_dir, hidden_sizes="3,2", batch_size="4")


def title_arguments_in(tmp_path):
    """flag -> value of a run of 2 epochs of 4 batches on `TITLES`, in `tmp_path`."""
    data_dir = tmp_path / "titles"
    data_dir.mkdir()
    write_titles(data_dir)
    return _arguments("titles", data_dir, hidden_sizes="5", embedding_size="4", batch_size="8", **PLAIN)


def _arguments(task, data_dir, **flags):
    """flag -> value of a run of 2 epochs in a directory beside its data."""
    train_dir = data_dir.parent / "run"
    return dict(task=task, data_dir=str(data_dir), train_dir=str(train_dir), epochs="2", **flags)


# Words without pieces, one direction, and neither dropout nor weights that balance the classes.
PLAIN = {"pieces": "1", "bidirectional": "false", "weight_decay": "0", "balance": "0"}
PLAIN.update({"piece_dropout": "0", "input_dropout": "0", "pooled_dropout": "0"})
# With these a run on `TITLES` learns what there is to learn, and more.
LEARNING = {"epochs": "12", "learning_rate": "0.03", "patience": "12", "hidden_sizes": "8"}


def write_titles(directory, splits=TITLES):
    for split, rows in splits.items():
        with open(os.path.join(str(directory), titles.FILES[split]), "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([titles.COLUMNS] + rows)


def command_line(arguments):
    return [f"--{flag}={value}" for flag, value in sorted(arguments.items())]


def flag_values(arguments):
    values = absl.flags.FlagValues()
    train.define_flags(values)
    values(["train.py"] + command_line(arguments))
    return values


def run(arguments, **changes):
    return train.run(flag_values(dict(arguments, **changes)))


def values_in(checkpoint):
    """name -> value of everything in a checkpoint."""
    reader = tf.train.load_checkpoint(checkpoint)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def weights(train_dir, step=None):
    """name -> value of everything in the last checkpoint, or in that of a step."""
    path = tf.train.latest_checkpoint(train_dir) if step is None else os.path.join(train_dir, f"model.ckpt-{step}")
    return values_in(path)


def assert_same(actual, expected):
    assert sorted(actual) == sorted(expected)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def rows_of(train_dir):
    """The history's rows without their times."""
    with open(os.path.join(train_dir, history.FILE)) as file:
        rows = json.load(file)["epochs"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def files_of(directory):
    return {name: open(os.path.join(directory, name), "rb").read() for name in sorted(os.listdir(directory))}
