"""What tests of training share: tiny runs, and ways to look at what they leave."""

import json
import os

import absl.flags
import numpy as np

import curves
import train
from stacked_lstm.compat import tf
from test_tasks import write_images

SCRIPTS = os.path.dirname(os.path.abspath(train.__file__))
IMAGES = {"train": 12, "test": 5}


def arguments_in(tmp_path):
    """flag -> value of a run of 2 epochs of 3 batches, in `tmp_path`."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    write_images(data_dir, IMAGES)
    return {
        "task": "fashion_mnist",
        "data_dir": str(data_dir),
        "train_dir": str(tmp_path / "run"),
        "hidden_sizes": "3,2",
        "epochs": "2",
        "batch_size": "4",
    }


def command_line(arguments):
    return ["--%s=%s" % argument for argument in sorted(arguments.items())]


def flag_values(arguments):
    values = absl.flags.FlagValues()
    train.define_flags(values)
    values(["train.py"] + command_line(arguments))
    return values


def run(arguments, **changes):
    return train.run(flag_values(dict(arguments, **changes)))


def weights(train_dir, step=None):
    """name -> value of everything in the last checkpoint, or in that of a step."""
    path = tf.train.latest_checkpoint(train_dir) if step is None else os.path.join(train_dir, "model.ckpt-%d" % step)
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def rows_of(train_dir):
    """The history's rows without their times."""
    with open(os.path.join(train_dir, curves.FILE)) as file:
        rows = json.load(file)["epochs"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def files_of(directory):
    return {name: open(os.path.join(directory, name), "rb").read() for name in sorted(os.listdir(directory))}
