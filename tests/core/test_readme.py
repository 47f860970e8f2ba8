"""What the README says is true: its example runs, its commands and files exist."""

import inspect
import os
import re
import subprocess
import sys

import numpy as np

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from support.native_ops import auto_engine
from support.paths import ROOT

with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as readme:
    TEXT = readme.read()


def test_examples(tmp_path):
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len(examples) == 6
    # The fifth reads what a Keras layer of 3 units for 8 inputs returns.
    saved = [np.random.RandomState(0).standard_normal(shape) for shape in ([8, 12], [3, 12], [12])]
    np.savez(str(tmp_path / "lstm.npz"), *saved)
    program = "".join(examples) + "np.savez('back.npz', *arrays)\n"
    (tmp_path / "example.py").write_text(program, encoding="utf-8")
    path = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "example.py"], capture_output=True, cwd=str(tmp_path), env=dict(os.environ, PYTHONPATH=path)
    )
    assert result.returncode == 0, result.stderr.decode()
    printed = result.stdout.decode()
    assert "stacked_lstm/layer_1/Wf" in printed and f"name='{auto_engine()}'" in printed
    assert "(11, 3) (20, 4, 8) (4, 3)" in printed
    for ours, theirs in zip(np.load(str(tmp_path / "back.npz")).values(), saved):
        np.testing.assert_array_equal(ours, theirs.astype(np.float32))


OLD_PROGRAM = """
cells = [tf.nn.rnn_cell.BasicLSTMCell(8), tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.LSTMCell(8), 0.5)]
cell = tf.compat.v1.nn.rnn_cell.MultiRNNCell(cells); isinstance(cell, tf.nn.rnn_cell.RNNCell)
outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
both, states = tf.nn.bidirectional_dynamic_rnn(cell, cell, x, dtype=tf.float32)
outputs, state = tf.contrib.rnn.static_rnn(tf.contrib.rnn.GRUCell(8), xs, dtype=tf.float32)
"""

NEW_PROGRAM = """
cells = [tf1_rnn.BasicLSTMCell(8), tf1_rnn.DropoutWrapper(tf1_rnn.LSTMCell(8), 0.5)]
cell = tf1_rnn.MultiRNNCell(cells); isinstance(cell, tf1_rnn.RNNCell)
outputs, state = tf1_rnn.dynamic_rnn(cell, x, dtype=tf.float32)
both, states = tf1_rnn.bidirectional_dynamic_rnn(cell, cell, x, dtype=tf.float32)
outputs, state = tf.nn.static_rnn(tf.contrib.rnn.GRUCell(8), xs, dtype=tf.float32)
"""


def test_names_of_an_old_program(tmp_path):
    (tmp_path / "model.py").write_text(OLD_PROGRAM)
    (command,) = re.findall(r"```bash\n( +sed .*?)```", TEXT, re.S)
    subprocess.run(command, shell=True, check=True, cwd=str(tmp_path))
    assert (tmp_path / "model.py").read_text() == NEW_PROGRAM


def test_defaults():
    """The table of the arguments has every argument, in order, with its default."""
    table = re.search(r"\| argument \| default \| values \|\n\|---.*?\n(.*?)\n\n", TEXT, re.S).group(1)
    rows = [[cell.strip(" `") for cell in row.split("|")[1:3]] for row in table.split("\n")]
    parameters = list(inspect.signature(StackedLSTM.__init__).parameters.values())[1:]
    assert [name for name, _ in rows] == [parameter.name for parameter in parameters]
    for (name, default), parameter in zip(rows, parameters):
        if name == "hidden_sizes":
            assert parameter.default is parameter.empty and default == ""
        else:
            assert eval(default, {"tf": tf}) == parameter.default, name


def test_every_table_has_its_numbers():
    """No word such as MEAN_OF_SEEDS stands where a number was to come."""
    assert re.findall(r"\b[A-Z]+_[A-Z]+\b", TEXT) == []


def test_files_named_exist():
    for path in re.findall(r"`((?:stacked_lstm|scripts|tests)/[\w/]+(?:\.py|/))`", TEXT):
        assert os.path.exists(os.path.join(ROOT, path)), path


def test_flags_named_exist():
    for script in ("compare", "convert", "train", "predict", "benchmark"):
        used = set(re.findall(r"--(\w+)", "\n".join(re.findall(rf"scripts/{script}\.py .*", TEXT))))
        with open(os.path.join(ROOT, "scripts", script + ".py"), encoding="utf-8") as source:
            named = set(re.findall(r'"(\w+)"', source.read()))  # Each script's own tests run it with its flags.
        assert used and used <= named, (script, used - named)
