"""What moves of an old program's import statements, and of the names that they bind."""

import pytest

from support.suite.sets import ONCE

pytest.importorskip("libcst")

from support.processes import moved_programs  # noqa: E402

pytestmark = ONCE

# name -> (old program, new program)
PROGRAMS = {
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
    "public names and modules of TensorFlow": (
        """from tensorflow import (
    nn,  # a comment
    placeholder as feed,
)
from tensorflow import float32, keras
from tensorflow.nn import dropout, rnn_cell, static_rnn as loop
from tensorflow.python.ops.nn import dynamic_rnn, softmax
import tensorflow.train as train, tensorflow.keras.layers as layers

y = nn.dropout(feed(float32, [2, 3]), 0.9)
cell = nn.rnn_cell.LSTMCell(8), rnn_cell.GRUCell(8)
""",
        """from tensorflow.compat.v1 import (
    nn,  # a comment
    placeholder as feed,
)
from tensorflow import keras
from tensorflow.compat.v1 import float32
from tensorflow.compat.v1.nn import dropout
from stacked_lstm import rnn_cell
from stacked_lstm.rnn_cell import static_rnn as loop
from tensorflow.python.ops.nn import softmax
from stacked_lstm.rnn_cell import dynamic_rnn
import tensorflow.compat.v1.train as train, tensorflow.keras.layers as layers
import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()

y = nn.dropout(feed(float32, [2, 3]), 0.9)
cell = tf1_rnn.LSTMCell(8), rnn_cell.GRUCell(8)
""",
    ),
    "modules that tensorflow.compat.v1 does not have": (
        """import tensorflow as tf
from tensorflow import lite
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.lite.python.interpreter import Interpreter
from tensorflow.tools.docs import doc_controls
import tensorflow.lite.python.util as lite_util
import tensorflow.tools.compatibility
""",
        """import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import lite
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.lite.python.interpreter import Interpreter
from tensorflow.tools.docs import doc_controls
import tensorflow.lite.python.util as lite_util
import tensorflow.tools.compatibility

tf.disable_v2_behavior()
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
    "modules of tf.contrib that are not needed any more": (
        """import tensorflow.contrib.framework as framework, os
from tensorflow.contrib.compiler import jit
from tensorflow.contrib.cudnn_rnn.python.ops import cudnn_rnn_ops

Op = cudnn_rnn_ops.CudnnCompatibleLSTMCell
with jit.experimental_jit_scope():
    cell = Op(8), cudnn_rnn_ops.CudnnCompatibleLSTMCell(8), framework.nest.flatten(x)
""",
        """import os
import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell as tf1_rnn

tf.disable_v2_behavior()

Op = tf1_rnn.CudnnCompatibleLSTMCell
with tf.xla.experimental.jit_scope():
    cell = Op(8), tf1_rnn.CudnnCompatibleLSTMCell(8), tf.nest.flatten(x)
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
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_moves(name):
    moved_programs.check(*PROGRAMS[name])
