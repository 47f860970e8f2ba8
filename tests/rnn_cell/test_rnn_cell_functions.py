"""The drop-in's cells inside `tf.function`, whose AutoGraph converts the code of cells."""

import os

from support.processes import programs
from support.suite.paths import ROOT

PROGRAM = """
import tensorflow as tf
from stacked_lstm import rnn_cell

class Plain(rnn_cell.RNNCell):
    state_size = output_size = property(lambda self: 3)

    def call(self, inputs, state):
        return inputs + state, state

cells = [
    Plain(),
    rnn_cell.LSTMCell(3, use_peepholes=True, num_proj=3),
    rnn_cell.DropoutWrapper(rnn_cell.BasicLSTMCell(3), 0.5, 0.5, 0.5),
    rnn_cell.ResidualWrapper(Plain()),
    rnn_cell.DeviceWrapper(rnn_cell.LSTMCell(3), "/cpu:0"),
]
stack, plain = rnn_cell.MultiRNNCell(cells), Plain()

@tf.function
def step(x):
    return stack(x, stack.zero_state(2, tf.float32))[0] + plain(x, x)[0]

with tf.Graph().as_default():
    print(step(tf.zeros([2, 3])).shape)
"""


def test_autograph_transforms_every_cell(tmp_path):
    """AutoGraph warns if it cannot transform a function, for example one whose whole body is a docstring."""
    program = tmp_path / "program.py"  # AutoGraph reads the source.
    program.write_text(PROGRAM)
    path = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    environment = dict(os.environ, PYTHONPATH=path)
    result = programs.run([program], env=environment)
    errors = result.stderr.decode()
    assert result.stdout.decode().split() == ["(2,", "3)"], errors
    assert "AutoGraph" not in errors, errors
