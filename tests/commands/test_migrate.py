"""The command migrate: files, differences, errors, remarks, and a program that runs after the move."""

import os
import subprocess
import sys

import pytest
from absl import flags

from stacked_lstm.commands import command, migrate
from support.processes import pages, programs
from support.suite.sets import ONCE

pytest.importorskip("libcst")

pytestmark = ONCE

LEFT = """import tensorflow as tf
from tensorflow.contrib import layers, slim as old_slim
from tensorflow.contrib.rnn import LSTMCell, NoCell
from tensorflow.contrib.cudnn_rnn import CudnnLSTM, CudnnGRU
from tensorflow.examples.tutorials.mnist import input_data
import tensorflow.contrib.rnn
import tensorflow.contrib.slim as slim
x = tf.contrib.layers.batch_norm(x)
x = tf.contrib.rnn.NoCell.__name__
x = tf.contrib.rnn.NoCell(8).output_size
x = tf.contrib.seq2seq.BahdanauAttention
x = tf.layers.dense(x, 3)
x = layers.l2_regularizer(0.1)
x = tf.estimator.ModeKeys.TRAIN, tf.contrib.layers.python.layers.utils
try: import tensorflow
except ImportError: pass
import tensorflow.contrib as module
x = module.rnn.LSTMCell(8), module.rnn.NoCell
x = tf.nn.bidirectional_rnn, tf.nn.seq2seq.rnn_decoder
from tensorflow.models.rnn import rnn
x = rnn.rnn
x = tf.contrib.cudnn_rnn.CUDNN_RNN_UNIDIRECTION
x = tf.contrib.legacy_seq2seq.attention_decoder
x = tf.contrib.cudnn_rnn.CudnnRNNTanh
from tensorflow import *
import tensorflow.nn
from tensorflow import layers as dense_layers
from tensorflow.tools.graph_transforms import TransformGraph
from tensorflow.python.training import training_ops
"""

REMARKS = [
    "2: tf.contrib.slim: TensorFlow 2 has no tf.contrib",
    "3: tf.contrib.rnn.NoCell: not in stacked_lstm.rnn_cell",
    "4: tf.contrib.cudnn_rnn.CudnnGRU: not in stacked_lstm.rnn_cell; GRUCell has another equation, "
    "CudnnCompatibleGRUCell has the same one; copy the class CudnnCompatibleGRUCell and what it needs from "
    "tensorflow_core/contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py of TensorFlow 1.15, and run stacked-lstm-migrate on "
    "the copy",
    "5: tf.examples.tutorials.mnist.input_data: TensorFlow 2 has no tensorflow.examples",
    "6: tf.contrib.rnn: import it under a name, with `as`",
    "7: tf.contrib.slim: TensorFlow 2 has no tf.contrib",
    "8: tf.contrib.layers.batch_norm: not in stacked_lstm.contrib.layers; most layers are in tf.layers, "
    "with other names of variables",
    "9: tf.contrib.rnn.NoCell.__name__: not in stacked_lstm.rnn_cell",
    "10: tf.contrib.rnn.NoCell: not in stacked_lstm.rnn_cell",
    "11: tf.contrib.seq2seq.BahdanauAttention: not in stacked_lstm.contrib.seq2seq; copy "
    "tensorflow_core/contrib/seq2seq/python/ops of TensorFlow 1.15, run this command on the copy, and import that",
    "12: tf.layers.dense: needs the package tf-keras, and TF_USE_LEGACY_KERAS=1 in the environment",
    "13: tf.contrib.layers.l2_regularizer: use a function such as lambda w: scale * tf.nn.l2_loss(w)",
    "14: tf.contrib.layers.python.layers.utils: TensorFlow 2 has no tf.contrib",
    "14: tf.estimator.ModeKeys.TRAIN: use the strings 'train', 'eval' and 'infer'",
    "15: import: put it on a line of its own, and run this again",
    "17: tf.contrib: TensorFlow 2 has no tf.contrib",
    "18: tf.contrib.rnn.NoCell: not in stacked_lstm.rnn_cell",
    "19: tf.nn.bidirectional_rnn: use static_bidirectional_rnn of stacked_lstm.rnn_cell",
    "21: tf.models.rnn.rnn.rnn: use static_rnn of stacked_lstm.rnn_cell",
    "22: tf.contrib.cudnn_rnn.CUDNN_RNN_UNIDIRECTION: use the string 'unidirectional'",
    "23: tf.contrib.legacy_seq2seq.attention_decoder: not in stacked_lstm.contrib.legacy_seq2seq; "
    "copy tensorflow_core/contrib/legacy_seq2seq/python/ops/seq2seq.py of TensorFlow 1.15, run this command on the "
    "copy, and import that",
    "24: tf.contrib.cudnn_rnn.CudnnRNNTanh: not in stacked_lstm.rnn_cell; a stack of BasicRNNCells computes the same "
    "and restores its kernels and biases",
    "25: tf: `*` hides which names the program uses: import them by name, and run this again",
    "26: tf.nn: import it under a name, with `as`",
    "27: tf.layers: needs the package tf-keras, and TF_USE_LEGACY_KERAS=1 in the environment",
    "28: tf.tools.graph_transforms.TransformGraph: newer versions of TensorFlow do not have this module",
    "29: tf.python.training.training_ops: import tensorflow.python.ops.gen_training_ops, which has its functions",
]


def run(capsys, *arguments):
    """(exit status, stdout, stderr) of the command in this process."""
    values, status = flags.FlagValues(), 0
    migrate.define_flags(values)
    capsys.readouterr()
    try:
        with command.one_line_errors("migrate.py"):
            migrate.main(values, values(["migrate.py", *map(str, arguments)])[1:])
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_what_is_left(capsys, tmp_path):
    path = tmp_path / "model.py"
    path.write_text(LEFT)
    status, printed, _ = run(capsys, "--diff", path)
    assert status == 1 and path.read_text() == LEFT
    assert [line for line in printed.splitlines() if line.startswith(str(path))] == [f"{path}:{r}" for r in REMARKS]
    status, printed, _ = run(capsys, path)
    assert status == 1 and printed.startswith(f"{path}: moved\n{path}:2: tf.contrib.slim: ")
    moved = path.read_text().splitlines()
    lines = printed.splitlines()[1:]
    assert len(lines) == len(REMARKS)
    for line in lines:  # The lines are those of the new file.
        number, name = line[len(str(path)) + 1 :].split(": ")[:2]
        assert name.rpartition(".")[2].replace("tf", "tensorflow") in moved[int(number) - 1]


def test_diff_shows_and_writes_nothing(capsys, tmp_path):
    path = tmp_path / "model.py"
    path.write_text("import tensorflow as tf\nf = tf.nn.static_rnn\n")
    status, printed, _ = run(capsys, "--diff", path)
    assert status == 0 and path.read_text() == "import tensorflow as tf\nf = tf.nn.static_rnn\n"
    assert [line for line in printed.splitlines()[2:] if line[0] in "+-"] == [
        "-import tensorflow as tf",
        "-f = tf.nn.static_rnn",
        "+import tensorflow.compat.v1 as tf",
        "+from stacked_lstm import rnn_cell as tf1_rnn",
        "+",
        "+tf.disable_v2_behavior()",
        "+f = tf1_rnn.static_rnn",
    ]


def test_files_that_need_nothing(capsys, tmp_path):
    path = tmp_path / "model.py"
    path.write_text("x = 1\n")
    before = os.stat(str(path)).st_mtime_ns
    assert run(capsys, path) == (0, f"{path}: nothing to move\n", "")
    assert os.stat(str(path)).st_mtime_ns == before


@pytest.mark.parametrize(
    "text, message",
    [
        (b"x = 1\nprint 'x'\n", "{path}: line 2: this is not Python 3 (Missing parentheses in call to 'print'"),
        (b"x = 1\ny = 2\nif x:\n    y = 3\n      x = 4\n", "{path}: line 5: this is not Python 3 (unexpected indent)"),
        (b"# coding: none\nx = 1\n", "{path}: this is not Python 3 (unknown encoding: none)"),
        (b"x = 1\ny = '\xe9'\n", "{path}: line 2: expected utf-8, got byte 0xe9; a comment such as # coding: latin-1"),
        (b"\n\n\n# \xe9\nx = 1\n", "{path}: line 4: expected utf-8, got byte 0xe9; a comment such as"),
        (None, "expected to read or write {path}, got No such file or directory"),
    ],
)
def test_an_error_changes_no_file(text, message, capsys, tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import tensorflow as tf\n")
    if text:
        bad.write_bytes(text)
    status, output, errors = run(capsys, good, bad)
    assert (status, output) == (2, "") and errors.startswith(f"migrate.py: {message.format(path=bad)}")
    assert good.read_text() == "import tensorflow as tf\n"


def test_notebooks(capsys, tmp_path):
    """JSON is Python, too, but moving it would change nothing."""
    path = tmp_path / "model.ipynb"
    path.write_text('{"cells": []}')
    message = f"migrate.py: expected Python files, got the notebook {path}; `jupyter nbconvert --to script` makes one\n"
    assert run(capsys, path) == (2, "", message)


def test_without_files_or_libcst(capsys, monkeypatch):
    assert run(capsys) == (2, "", "migrate.py: expected the names of Python files, got none\n")
    monkeypatch.setitem(sys.modules, "stacked_lstm.commands.old_program", None)
    monkeypatch.delattr("stacked_lstm.commands.old_program")
    message = 'migrate.py: needs the package libcst: pip install "stacked_lstm[migrate]"\n'
    assert run(capsys, "model.py") == (2, "", message)


def test_the_program_runs(tmp_path):
    """The console command, without TensorFlow in its process, and then the program."""
    path = tmp_path / "model.py"
    path.write_text(RUNNING)
    environment = dict(os.environ, **pages.python_path())
    script = "import atexit, sys; from stacked_lstm.commands.migrate import run\n"
    script += "atexit.register(lambda: print('tensorflow' in sys.modules)); run()"
    results = [
        subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, env=environment),
        programs.run([path], env=environment),
    ]
    for result in results:
        assert result.returncode == 0, result.stderr.decode()
    assert [result.stdout.decode() for result in results] == [f"{path}: moved\nFalse\n", "(4, 16) True\n"]


RUNNING = """
import tensorflow as tf
from tensorflow.contrib import rnn
from tensorflow.contrib.rnn import LSTMCell
from tensorflow.python.ops import rnn_cell

cell = rnn.MultiRNNCell([rnn.DropoutWrapper(LSTMCell(16), 0.9), tf.nn.rnn_cell.BasicLSTMCell(16)])
steps = tf.unstack(tf.ones([4, 5, 8]), axis=1)
outputs, state = rnn.static_rnn(cell, steps, dtype=tf.float32)
decoded, _ = tf.contrib.legacy_seq2seq.rnn_decoder(outputs, state[0], rnn_cell.LSTMCell(16))
targets, weights = tf.zeros([4, 5], tf.int32), tf.ones([4, 5])
loss = tf.contrib.seq2seq.sequence_loss(tf.stack(decoded, axis=1), targets, weights)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    print(session.run(decoded[-1]).shape, session.run(loss) > 0)
"""
