"""The command migrate: what moves and how, what stays, remarks, files, and a program that runs after the move."""

import importlib
import os
import subprocess
import sys

import pytest
from absl import flags

from stacked_lstm.commands import command, migrate, old_names
from support import pages, programs
from support.sets import ONCE

pytest.importorskip("libcst")

from stacked_lstm.commands import old_program  # noqa: E402

pytestmark = ONCE

# name -> (old program, new program)
PROGRAMS = {
    "the names of tf.nn": (
        """
import numpy as np
import tensorflow as tf

cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell( 8 )])   # odd   spacing
assert isinstance(cell, tf.compat.v1.nn.rnn_cell.RNNCell)
y, s = tf.nn.dynamic_rnn(cell, x,
                         dtype=tf.float32)
y, s = tf.compat.v1.nn.bidirectional_dynamic_rnn(cell, cell, x, dtype=tf.float32)
y, s, t = tf.nn.static_bidirectional_rnn(cell, cell, xs, dtype=tf.float32)
y = tf.nn.softmax(tf.nn.raw_rnn(cell, f)[0])
""",
        """
import numpy as np
import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()

cell = tf1_rnn.MultiRNNCell([tf1_rnn.BasicLSTMCell( 8 )])   # odd   spacing
assert isinstance(cell, tf1_rnn.RNNCell)
y, s = tf1_rnn.dynamic_rnn(cell, x,
                         dtype=tf.float32)
y, s = tf1_rnn.bidirectional_dynamic_rnn(cell, cell, x, dtype=tf.float32)
y, s, t = tf1_rnn.static_bidirectional_rnn(cell, cell, xs, dtype=tf.float32)
y = tf.nn.softmax(tf.nn.raw_rnn(cell, f)[0])
""",
    ),
    "the names of tf.contrib": (
        """import tensorflow as tf
cell = tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.LSTMCell(8), 0.5)
y, s = tf.contrib.rnn.static_rnn(cell, xs, dtype=tf.float32)
y, s = tf.contrib.legacy_seq2seq.rnn_decoder(xs, s, cell)
y, s = tf.contrib.rnn.static_state_saving_rnn(cell, xs, saver, ("c", "h"))
loss = tf.contrib.seq2seq.sequence_loss(y, z, w)
y = tf.contrib.layers.fully_connected(y, 3, weights_initializer=tf.contrib.layers.xavier_initializer())
loss, t = tf.contrib.crf.crf_log_likelihood(y, z, w)
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as tf1_rnn
from stacked_lstm.contrib import seq2seq as tf1_seq2seq
from stacked_lstm.contrib import legacy_seq2seq as tf1_legacy_seq2seq
from stacked_lstm.contrib import crf as tf1_crf
from stacked_lstm.contrib import layers as tf1_layers

tf.disable_v2_behavior()
cell = tf1_rnn.DropoutWrapper(tf1_rnn.LSTMCell(8), 0.5)
y, s = tf1_rnn.static_rnn(cell, xs, dtype=tf.float32)
y, s = tf1_legacy_seq2seq.rnn_decoder(xs, s, cell)
y, s = tf.nn.static_state_saving_rnn(cell, xs, saver, ("c", "h"))
loss = tf1_seq2seq.sequence_loss(y, z, w)
y = tf1_layers.fully_connected(y, 3, weights_initializer=tf1_layers.xavier_initializer())
loss, t = tf1_crf.crf_log_likelihood(y, z, w)
""",
    ),
    "from tensorflow.contrib import rnn": (
        """import tensorflow as tf
from tensorflow.contrib import rnn, legacy_seq2seq as loops

cell = rnn.LSTMCell(8)
y, s = loops.rnn_decoder(xs, s, cell)
y, s, _ = rnn.raw_rnn(cell, f)
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as rnn
from stacked_lstm.contrib import legacy_seq2seq as loops

tf.disable_v2_behavior()

cell = rnn.LSTMCell(8)
y, s = loops.rnn_decoder(xs, s, cell)
y, s, _ = tf.nn.raw_rnn(cell, f)
""",
    ),
    "from tensorflow.contrib.rnn import X": (
        """from tensorflow.contrib.rnn import (
    LSTMCell,  # a comment
    MultiRNNCell as Stack,
)
from tensorflow.contrib.rnn import *

cell = Stack([LSTMCell(8)])
""",
        """from stacked_lstm.rnn_cell import (
    LSTMCell,  # a comment
    MultiRNNCell as Stack,
)
from stacked_lstm.rnn_cell import *

cell = Stack([LSTMCell(8)])
""",
    ),
    "comments between names of several modules": (
        """from tensorflow.contrib import (
    rnn,  # cells
    legacy_seq2seq as loops,
    crf  # tags
)
from tensorflow.contrib.framework import (nest, get_global_step as step)
""",
        """from stacked_lstm import (
    rnn_cell as rnn,  # cells
    )
from stacked_lstm.contrib import (
    legacy_seq2seq as loops,
    crf  # tags
)
from tensorflow.compat.v1 import nest
from tensorflow.compat.v1.train import get_global_step as step
""",
    ),
    "from tensorflow.python.ops import": (
        """import tensorflow as tf
from tensorflow.python.ops import rnn_cell, rnn, math_ops  # private
from tensorflow.python.ops.rnn_cell import LSTMStateTuple
from tensorflow.python.ops.rnn import dynamic_rnn as loop

y, s = rnn.dynamic_rnn(rnn_cell.LSTMCell(8), x, dtype=tf.float32)
""",
        """import tensorflow.compat.v1 as tf
from tensorflow.python.ops import math_ops
from stacked_lstm import rnn_cell, rnn_cell as rnn  # private
from stacked_lstm.rnn_cell import LSTMStateTuple
from stacked_lstm.rnn_cell import dynamic_rnn as loop

tf.disable_v2_behavior()

y, s = rnn.dynamic_rnn(rnn_cell.LSTMCell(8), x, dtype=tf.float32)
""",
    ),
    "import tensorflow.contrib.rnn as": (
        """import os, tensorflow.contrib.rnn as R, sys
from tensorflow.contrib.rnn.python.ops import core_rnn_cell
cell = R.DeviceWrapper(core_rnn_cell.LSTMCell(8), "/cpu:0")
""",
        """import os, sys
from stacked_lstm import rnn_cell as R
from stacked_lstm import rnn_cell as core_rnn_cell
cell = R.DeviceWrapper(core_rnn_cell.LSTMCell(8), "/cpu:0")
""",
    ),
    "names of tf.contrib": (
        """import tensorflow as tf, tensorflow.contrib as tfc
from tensorflow import contrib, nn
module = tf.contrib
cell = contrib.rnn.LSTMCell(8) or tfc.rnn.GRUCell(8) or module.rnn.NASCell(8) or nn.rnn_cell.LSTMCell(8)
loss = module.seq2seq.sequence_loss
""",
        """import tensorflow.compat.v1 as tf
from tensorflow import nn
from stacked_lstm import rnn_cell as tf1_rnn
from stacked_lstm.contrib import seq2seq as tf1_seq2seq

tf.disable_v2_behavior()
cell = tf1_rnn.LSTMCell(8) or tf1_rnn.GRUCell(8) or tf1_rnn.NASCell(8) or tf1_rnn.LSTMCell(8)
loss = tf1_seq2seq.sequence_loss
""",
    ),
    "rnn = tf.contrib.rnn": (
        """import tensorflow as tf

rnn = tf.contrib.rnn
LSTM = tf.contrib.rnn.LSTMCell


def model():
    cell = tf.nn.rnn_cell
    return rnn.MultiRNNCell([LSTM(8), cell.LSTMCell(8)]), rnn.static_state_saving_rnn
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()

rnn = tf1_rnn
LSTM = tf1_rnn.LSTMCell


def model():
    cell = tf1_rnn
    return rnn.MultiRNNCell([LSTM(8), cell.LSTMCell(8)]), tf.nn.static_state_saving_rnn
""",
    ),
    "names that TensorFlow 2 has in another module": (
        """import tensorflow as tf
from tensorflow.contrib.framework import nest, get_or_create_global_step as step
from tensorflow.contrib.rnn import raw_rnn

nest_too = tf.contrib.framework.nest
x = tf.contrib.framework.nest.flatten(nest_too.flatten(nest.flatten(x)))
if tf.contrib.framework.is_tensor(x[0]):
    raw_rnn(cell, f), step()
names = tf.contrib.framework.list_variables("x.ckpt")
""",
        """import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import nest
from tensorflow.compat.v1.train import get_or_create_global_step as step
from tensorflow.compat.v1.nn import raw_rnn

tf.disable_v2_behavior()

nest_too = tf.nest
x = tf.nest.flatten(nest_too.flatten(nest.flatten(x)))
if tf.is_tensor(x[0]):
    raw_rnn(cell, f), step()
names = tf.train.list_variables("x.ckpt")
""",
    ),
    "private modules": (
        """import tensorflow as tf
from tensorflow.contrib.crf.python.ops import crf
from tensorflow.contrib.layers.python.layers import initializers
from tensorflow.contrib.layers.python.layers.layers import fully_connected
from tensorflow.contrib.legacy_seq2seq.python.ops import seq2seq
from tensorflow.contrib.seq2seq.python.ops.loss import sequence_loss

cell = tf.contrib.rnn.core_rnn_cell.LSTMCell(8)
y, s = tf.contrib.rnn.core_rnn.static_rnn(cell, seq2seq.rnn_decoder(xs, s, cell)[0], dtype=tf.float32)
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm.contrib import crf
from stacked_lstm.contrib import layers as initializers
from stacked_lstm.contrib.layers import fully_connected
from stacked_lstm.contrib import legacy_seq2seq as seq2seq
from stacked_lstm.contrib.seq2seq import sequence_loss
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()

cell = tf1_rnn.LSTMCell(8)
y, s = tf1_rnn.static_rnn(cell, seq2seq.rnn_decoder(xs, s, cell)[0], dtype=tf.float32)
""",
    ),
    "modules of cuDNN, and private functions": (
        """import tensorflow as tf
from tensorflow.contrib import cudnn_rnn
from tensorflow.contrib.cudnn_rnn.python.layers import cudnn_rnn as layers
from tensorflow.contrib.cudnn_rnn.python.ops.cudnn_rnn_ops import CudnnCompatibleLSTMCell
from tensorflow.contrib.rnn.python.ops.core_rnn_cell import _Linear
from tensorflow.python.ops import rnn_cell_impl
from tensorflow.python.ops.rnn_cell_impl import _linear as linear

lstm = cudnn_rnn.CudnnLSTM(1, 8), layers.CudnnLSTM(1, 8), tf.contrib.cudnn_rnn.CudnnLSTM(1, 8)
y = rnn_cell_impl._linear([x], 3, True)
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as cudnn_rnn
from stacked_lstm import rnn_cell as layers
from stacked_lstm.rnn_cell import CudnnCompatibleLSTMCell
from stacked_lstm.rnn_cell import _Linear
from stacked_lstm import rnn_cell as rnn_cell_impl
from stacked_lstm.rnn_cell import _linear as linear
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()

lstm = cudnn_rnn.CudnnLSTM(1, 8), layers.CudnnLSTM(1, 8), tf1_rnn.CudnnLSTM(1, 8)
y = rnn_cell_impl._linear([x], 3, True)
""",
    ),
    "names that are others' are not TensorFlow's": (
        """import tensorflow as tf
from torch import nn


def f(tf, rnn_cell):
    rnn_cell = rnn_cell
    return tf.nn.rnn_cell.LSTMCell(8), rnn_cell.LSTMCell, nn.dynamic_rnn, unknown.tf.contrib.rnn.LSTMCell


"tf.nn.rnn_cell.LSTMCell"  # tf.contrib.rnn.LSTMCell
""",
        """import tensorflow.compat.v1 as tf
from torch import nn

tf.disable_v2_behavior()


def f(tf, rnn_cell):
    rnn_cell = rnn_cell
    return tf.nn.rnn_cell.LSTMCell(8), rnn_cell.LSTMCell, nn.dynamic_rnn, unknown.tf.contrib.rnn.LSTMCell


"tf.nn.rnn_cell.LSTMCell"  # tf.contrib.rnn.LSTMCell
""",
    ),
    "the lines come after docstring and imports": (
        '''# Licence
"""What it does."""

from __future__ import print_function

import sys

FLAG = 1

try:
    import tensorflow as tf
except ImportError:
    tf = None
import json
cell = tf.nn.rnn_cell.LSTMCell(8)
''',
        '''# Licence
"""What it does."""

from __future__ import print_function

import sys

FLAG = 1

try:
    import tensorflow.compat.v1 as tf
except ImportError:
    tf = None
import json
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()
cell = tf1_rnn.LSTMCell(8)
''',
    ),
    "tensorflow under its own name, in a function": (
        """def f():
    import tensorflow
    return tensorflow.nn.rnn_cell.LSTMCell(8)
""",
        """from stacked_lstm import rnn_cell as tf1_rnn
def f():
    import tensorflow.compat.v1 as tensorflow
    return tf1_rnn.LSTMCell(8)
""",
    ),
    "a program that calls disable_v2_behavior": (
        "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\nf = tf.nn.static_rnn\n",
        "import tensorflow.compat.v1 as tf\nfrom stacked_lstm import rnn_cell as tf1_rnn\n"
        "tf.disable_v2_behavior()\nf = tf1_rnn.static_rnn\n",
    ),
    "compat": (
        "import tensorflow as tf\ntf = tf.compat.v1\nf = tf.nn.static_rnn\n",
        "import tensorflow.compat.v1 as tf\nfrom stacked_lstm import rnn_cell as tf1_rnn\n\n"
        "tf.disable_v2_behavior()\ntf = tf.compat.v1\nf = tf1_rnn.static_rnn\n",
    ),
    "newlines of Windows": (
        "import tensorflow as tf\r\nf = tf.nn.static_rnn\r\n",
        "import tensorflow.compat.v1 as tf\r\nfrom stacked_lstm import rnn_cell as tf1_rnn\r\n\r\n"
        "tf.disable_v2_behavior()\r\nf = tf1_rnn.static_rnn\r\n",
    ),
    "another encoding": ("# coding: latin-1\nx = 'é'\n", "# coding: latin-1\nx = 'é'\n"),
    "no TensorFlow": ("import numpy as np\n\nx = np.nn.rnn_cell", "import numpy as np\n\nx = np.nn.rnn_cell"),
}


def encoded(text):
    return text.encode("latin-1" if "latin-1" in text else "utf-8")


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_moves(name):
    old, new = (encoded(text) for text in PROGRAMS[name])
    assert old_program.move(old).decode("latin-1") == new.decode("latin-1")
    assert old_program.move(new) == new  # A second move changes nothing.
    assert old_program.remarks(old) == old_program.remarks(new) == []


NEW_NAMES = """
import importlib
import sys
import tensorflow.compat.v1 as tf

for name in sys.argv[1:]:
    value = tf
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    module, last = name.replace("tensorflow", "tensorflow.compat.v1", 1).rsplit(".", 1)
    assert value is getattr(importlib.import_module(module), last), name
"""


def test_new_names_of_tensorflow_exist():
    """As attributes and by import. The import gives TensorFlow's modules new functions, so it has its own process."""
    names = [*old_names.TENSORFLOW_NAMES.values(), *(f"tensorflow.nn.{name}" for name in old_names.NN_LOOPS)]
    ran = programs.run(["-c", NEW_NAMES, *names])
    assert ran.returncode == 0, ran.stderr


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
"""

REMARKS = [
    "2: tf.contrib.slim: TensorFlow 2 has no tf.contrib",
    "3: tf.contrib.rnn.NoCell: not in stacked_lstm.rnn_cell",
    "4: tf.contrib.cudnn_rnn.CudnnGRU: not in stacked_lstm.rnn_cell; StackedLSTM runs on cuDNN",
    "5: tf.examples.tutorials.mnist.input_data: TensorFlow 2 has no tensorflow.examples",
    "6: tf.contrib.rnn: import it under a name, with `as`",
    "7: tf.contrib.slim: TensorFlow 2 has no tf.contrib",
    "8: tf.contrib.layers.batch_norm: not in stacked_lstm.contrib.layers; most layers are in tf.layers",
    "9: tf.contrib.rnn.NoCell.__name__: not in stacked_lstm.rnn_cell",
    "10: tf.contrib.rnn.NoCell: not in stacked_lstm.rnn_cell",
    "11: tf.contrib.seq2seq.BahdanauAttention: not in stacked_lstm.contrib.seq2seq; tensorflow_addons.seq2seq has "
    "attention and beam search",
    "12: tf.layers.dense: needs the package tf-keras, and TF_USE_LEGACY_KERAS=1 in the environment",
    "13: tf.contrib.layers.l2_regularizer: use a function such as lambda w: scale * tf.nn.l2_loss(w)",
    "14: tf.contrib.layers.python.layers.utils: not in stacked_lstm.contrib.layers; most layers are in tf.layers",
    "14: tf.estimator.ModeKeys.TRAIN: use the strings 'train', 'eval' and 'infer'",
    "15: import: put it on a line of its own, and run this again",
    "17: tf.contrib: TensorFlow 2 has no tf.contrib",
    "18: tf.contrib.rnn.NoCell: not in stacked_lstm.rnn_cell",
    "19: tf.nn.bidirectional_rnn: use static_bidirectional_rnn of stacked_lstm.rnn_cell",
    "21: tf.models.rnn.rnn.rnn: use static_rnn of stacked_lstm.rnn_cell",
    "22: tf.contrib.cudnn_rnn.CUDNN_RNN_UNIDIRECTION: use the string 'unidirectional'",
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
        assert name.rpartition(".")[2] in moved[int(number) - 1]


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
        ("x = 1\nprint 'x'\n", "{path}: line 2: this is not Python 3; 2to3 translates Python 2"),
        (None, "[Errno 2] No such file or directory: '{path}'"),
    ],
)
def test_an_error_changes_no_file(text, message, capsys, tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import tensorflow as tf\n")
    if text:
        bad.write_text(text)
    assert run(capsys, good, bad) == (2, "", f"migrate.py: {message.format(path=bad)}\n")
    assert good.read_text() == "import tensorflow as tf\n"


def test_without_files_or_libcst(capsys, monkeypatch):
    assert run(capsys) == (2, "", "migrate.py: expected the names of Python files, got none\n")
    monkeypatch.setitem(sys.modules, "stacked_lstm.commands.old_program", None)
    monkeypatch.delattr("stacked_lstm.commands.old_program")
    message = 'migrate.py: needs the package libcst: pip install "stacked_lstm[migrate]"\n'
    assert run(capsys, "model.py") == (2, "", message)


def test_names_are_those_of_the_modules():
    for name in set(old_names.MODULES.values()) | set(old_names.SHARED_MODULES.values()):
        assert list(old_names.names_of(name)) == importlib.import_module(name).__all__
        assert name in old_program.ALIASES


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
