"""What moves of an old program's names, and where the new lines come."""

import pytest

from support.suite.sets import ONCE

pytest.importorskip("libcst")

from stacked_lstm.commands import old_program  # noqa: E402
from support.processes import moved_programs  # noqa: E402

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
    "names of tf.contrib": (
        """import tensorflow as tf, tensorflow.contrib as tfc
from tensorflow import contrib, nn
module = tf.contrib
cell = contrib.rnn.LSTMCell(8) or tfc.rnn.GRUCell(8) or module.rnn.NASCell(8) or nn.rnn_cell.LSTMCell(8)
loss = module.seq2seq.sequence_loss
""",
        """import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import nn
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
    "names that are others' are not TensorFlow's": (
        """import tensorflow as tf
from torch import nn


def f(rnn_cell):
    rnn_cell = rnn_cell
    return rnn_cell.LSTMCell, nn.dynamic_rnn, unknown.tf.contrib.rnn.LSTMCell


"tf.nn.rnn_cell.LSTMCell"  # tf.contrib.rnn.LSTMCell
""",
        """import tensorflow.compat.v1 as tf
from torch import nn

tf.disable_v2_behavior()


def f(rnn_cell):
    rnn_cell = rnn_cell
    return rnn_cell.LSTMCell, nn.dynamic_rnn, unknown.tf.contrib.rnn.LSTMCell


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
        """import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()
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
    "names that are taken": (
        "import tensorflow as tf\ntf1_rnn = tf1_rnn_2 = 1\n\n\ndef f(x):\n    return tf.nn.dynamic_rnn(x, tf1_rnn)\n",
        "import tensorflow.compat.v1 as tf\nfrom stacked_lstm import rnn_cell as tf1_rnn_3\n\n"
        "tf.disable_v2_behavior()\ntf1_rnn = tf1_rnn_2 = 1\n\n\n"
        "def f(x):\n    return tf1_rnn_3.dynamic_rnn(x, tf1_rnn)\n",
    ),
    "a program that moved under a second name": (
        "import tensorflow.compat.v1 as tf\nfrom stacked_lstm import rnn_cell as tf1_rnn_2\n\n"
        "tf.disable_v2_behavior()\ntf1_rnn = tf1_rnn_2.LSTMCell(8)\nf = tf.nn.dynamic_rnn\n",
        "import tensorflow.compat.v1 as tf\nfrom stacked_lstm import rnn_cell as tf1_rnn_2\n\n"
        "tf.disable_v2_behavior()\ntf1_rnn = tf1_rnn_2.LSTMCell(8)\nf = tf1_rnn_2.dynamic_rnn\n",
    ),
    "a module in an attribute": (
        "import tensorflow as tf\n\n\nclass Model:\n    def __init__(self):\n        self.rnn = tf.contrib.rnn\n"
        "        self.cell = self.rnn.LSTMCell(8)\n",
        "import tensorflow.compat.v1 as tf\nfrom stacked_lstm import rnn_cell as tf1_rnn\n\n"
        "tf.disable_v2_behavior()\n\n\nclass Model:\n    def __init__(self):\n        self.rnn = tf1_rnn\n"
        "        self.cell = self.rnn.LSTMCell(8)\n",
    ),
    "names that tensorflow.python does not have any more": (
        """import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import array_ops, control_flow_ops
from tensorflow.python.ops.control_flow_ops import cond as choose, group
from tensorflow.python.ops import variables
from tensorflow.python.util import nest
from tensorflow.python.util.nest import is_sequence
from tensorflow.python.ops.variables import VariableV1, global_variables
from tensorflow.python import pywrap_tensorflow

x = control_flow_ops.while_loop(lambda i: i < 3, lambda i: i + 1, [array_ops.stack([0, 1])])
y = choose(p, f, g) if isinstance(x, ops.Tensor) and nest.is_sequence(x) else control_flow_ops.group(x)
z = isinstance(y, variables.VariableV1) and tf.contrib.framework.nest.is_sequence(nest.flatten(y))
r = pywrap_tensorflow.NewCheckpointReader("model.ckpt")
""",
        """import tensorflow.compat.v1 as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import array_ops, control_flow_ops
from tensorflow.python.ops.control_flow_ops import group
from tensorflow.compat.v1 import cond as choose
from tensorflow.python.ops import variables
from tensorflow.python.util import nest
from tensorflow.compat.v1.nest import is_nested as is_sequence
from tensorflow.python.ops.variables import global_variables
from tensorflow.compat.v1 import Variable as VariableV1
from tensorflow.python import pywrap_tensorflow

tf.disable_v2_behavior()

x = tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.stack([0, 1])])
y = choose(p, f, g) if isinstance(x, tf.Tensor) and tf.nest.is_nested(x) else control_flow_ops.group(x)
z = isinstance(y, tf.Variable) and tf.nest.is_nested(nest.flatten(y))
r = tf.train.NewCheckpointReader("model.ckpt")
""",
    ),
    "names that TensorFlow's cells and decoders use": (
        """from tensorflow.python.ops import rnn, rnn_cell_impl
from tensorflow.python.ops.rnn import rnn_cell_impl as cells
from tensorflow.python.ops.rnn_cell_impl import _concat, _RNNCell, _LayerRNNCell
from tensorflow.contrib.rnn import transpose_batch_time

cell = rnn.rnn_cell_impl.GRUCell(8)
rnn_cell_impl.assert_like_rnncell("cell", cells.LSTMCell(8))
x = rnn._transpose_batch_time(rnn_cell_impl._zero_state_tensors(8, 4, dtype))
""",
        """from stacked_lstm import rnn_cell as rnn, rnn_cell as rnn_cell_impl
from stacked_lstm import rnn_cell as cells
from stacked_lstm.rnn_cell import _concat, _RNNCell, _LayerRNNCell
from stacked_lstm.rnn_cell import transpose_batch_time
from stacked_lstm import rnn_cell as tf1_rnn

cell = tf1_rnn.GRUCell(8)
rnn_cell_impl.assert_like_rnncell("cell", cells.LSTMCell(8))
x = rnn._transpose_batch_time(rnn_cell_impl._zero_state_tensors(8, 4, dtype))
""",
    ),
    "modules of TensorFlow that its modules of cells also have": (
        """from tensorflow.python.ops.rnn_cell import base_layer, math_ops, nest, vs, LayerRNNCell
from tensorflow.python.ops.rnn import nest as flat, math_ops as m

spec = base_layer.InputSpec(ndim=math_ops.add(2, m.add(1, 1)))
x = nest.is_sequence(flat.flatten(vs.get_variable("x", [3]))), LayerRNNCell
""",
        """from tensorflow.python.layers import base as base_layer
from tensorflow.python.ops import math_ops, variable_scope as vs
from tensorflow.python.util import nest
from stacked_lstm.rnn_cell import LayerRNNCell
from tensorflow.python.util import nest as flat
from tensorflow.python.ops import math_ops as m
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()

spec = base_layer.InputSpec(ndim=math_ops.add(2, m.add(1, 1)))
x = tf.nest.is_nested(flat.flatten(vs.get_variable("x", [3]))), LayerRNNCell
""",
    ),
    "everything of a private module": (
        """import tensorflow as tf
from tensorflow.python.ops.rnn_cell_impl import *

class Cell(LSTMCell):
    def call(self, inputs, state):
        self.context, ops = nest.is_sequence(state), 2
        return array_ops.concat([math_ops.sigmoid(inputs)] * ops, 1), state
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm.rnn_cell import *
from tensorflow.python.ops import array_ops
from tensorflow.python.ops import math_ops
from tensorflow.python.util import nest

tf.disable_v2_behavior()

class Cell(LSTMCell):
    def call(self, inputs, state):
        self.context, ops = tf.nest.is_nested(state), 2
        return array_ops.concat([math_ops.sigmoid(inputs)] * ops, 1), state
""",
    ),
    "names that all modules have": (
        """import tensorflow as tf
from tensorflow.contrib import rnn

cells = vars(tf.contrib.rnn), tf.contrib.rnn.__dict__, tf.nn.rnn_cell.__dict__["GRUCell"], tf.contrib.rnn.__name__
cells = rnn.__dict__.get("LSTMCell"), tf.nn.__dict__, tf.contrib.seq2seq.__dict__
self.rnn = tf.contrib.rnn
cells = self.rnn.__dict__
""",
        """import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as rnn
from stacked_lstm import rnn_cell as tf1_rnn
from stacked_lstm.contrib import seq2seq as tf1_seq2seq

tf.disable_v2_behavior()

cells = vars(tf1_rnn), tf1_rnn.__dict__, tf1_rnn.__dict__["GRUCell"], tf1_rnn.__name__
cells = rnn.__dict__.get("LSTMCell"), tf.nn.__dict__, tf1_seq2seq.__dict__
self.rnn = tf1_rnn
cells = self.rnn.__dict__
""",
    ),
    "another encoding": ("# coding: latin-1\nx = 'é'\n", "# coding: latin-1\nx = 'é'\n"),
    "no TensorFlow": ("import numpy as np\n\nx = np.nn.rnn_cell", "import numpy as np\n\nx = np.nn.rnn_cell"),
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_moves(name):
    moved_programs.check(*PROGRAMS[name])


@pytest.mark.parametrize("program", ["from model import tf\n{}", "def f(tf):\n    {}", "tf = load_tf()\n{}"])
@pytest.mark.parametrize("name", ["tf.nn.rnn_cell.LSTMCell", "tf.contrib.rnn.NoCell", "tf.contrib.rnn"])
def test_tensorflow_that_the_program_does_not_show(program, name):
    """Its names stay, and the user hears of them."""
    program = program.format(f"x = {name}").encode()
    assert old_program.move(program) == program
    advice = "nothing here says what `tf` is: import it in this file, and run this again"
    assert old_program.remarks(program) == [(2, name.replace("tf", "tensorflow"), advice)]


def test_missing_names_of_a_module_in_an_attribute():
    """Before the move and after it."""
    program = "import tensorflow as tf\nself.rnn = tf.contrib.rnn\ncell = self.rnn.NoCell(self.rnn.LSTMCell(8))\n"
    advice = "not in stacked_lstm.rnn_cell"
    assert old_program.remarks(program.encode()) == [(3, "tensorflow.contrib.rnn.NoCell", advice)]
    ((line, name, after),) = old_program.remarks(old_program.move(program.encode()))
    assert (line, name, after) == (6, "stacked_lstm.rnn_cell.NoCell", advice)


@pytest.mark.parametrize(
    "program, line",
    [
        ("from {0} import cudnn_rnn_ops\nx = cudnn_rnn_ops.CudnnLSTM(1, 8, 4)\n", 2),
        ("from {0}.cudnn_rnn_ops import CudnnLSTM as Op\nx = Op(1, 8, 4)\n", 1),
        ("import {0}.cudnn_rnn_ops as ops\ncell = ops.CudnnLSTM\n", 2),
        ("import tensorflow as tf\nx = {1}.cudnn_rnn_ops.CudnnLSTM(1, 8, 4)\n", 2),
    ],
)
def test_the_op_class_of_cudnn(program, line):
    """It has the name of the layer, and other arguments. It stays, and the user hears of it."""
    module = "tensorflow.contrib.cudnn_rnn.python.ops"
    program = program.format(module, module.replace("tensorflow", "tf")).encode()
    advice = (
        "its calls take a tensor of parameters; use the layer CudnnLSTM of stacked_lstm.rnn_cell, which makes its "
        "variable itself and has other arguments"
    )
    moved = old_program.move(program)
    assert program.replace(b"import tensorflow as tf\n", b"") in moved and b"stacked_lstm" not in moved
    assert (line, f"{module}.cudnn_rnn_ops.CudnnLSTM", advice) in old_program.remarks(program)


def test_everything_of_a_module():
    """`*` takes the cells. It hides which names of other modules the program uses."""
    for module in ("contrib.rnn", "contrib.crf.python.ops.crf", "contrib.cudnn_rnn.python.layers.cudnn_rnn"):
        assert old_program.remarks(f"from tensorflow.{module} import *\n".encode()) == []
    for module in ("python.ops.control_flow_ops", "contrib.cudnn_rnn.python.ops.cudnn_rnn_ops"):
        ((_, _, advice),) = old_program.remarks(f"from tensorflow.{module} import *\n".encode())
        assert advice.startswith("`*` hides which names the program uses")
