"""Cells in TensorFlow 1.15's files run after the move: names of variables and results are those of the original."""

import importlib.util
import textwrap
import types

import numpy as np
import pytest

pytest.importorskip("libcst")

from stacked_lstm import missing_names, rnn_cell  # noqa: E402
from stacked_lstm.commands import old_program  # noqa: E402
from stacked_lstm.compat import tf  # noqa: E402
from support.processes import pages  # noqa: E402
from support.suite import versions  # noqa: E402

# Written in the words of TensorFlow's file.
CELL = b"""
from tensorflow.contrib.compiler import jit
from tensorflow.python.ops import array_ops
from tensorflow.python.ops import math_ops
from tensorflow.python.ops import rnn_cell_impl


class PlainCell(rnn_cell_impl.LayerRNNCell):

  def __init__(self, num_units, reuse=None):
    super(PlainCell, self).__init__(_reuse=reuse, autocast=False)
    self._num_units = num_units

  @property
  def state_size(self):
    return self._num_units

  @property
  def output_size(self):
    return self._num_units

  def build(self, inputs_shape):
    self._kernel = self.add_variable(
        rnn_cell_impl._WEIGHTS_VARIABLE_NAME,
        shape=[inputs_shape[1].value + self._num_units, self._num_units])
    self.built = True

  def call(self, inputs, state):
    with jit.experimental_jit_scope(compile_ops=False):
      output = math_ops.tanh(math_ops.matmul(array_ops.concat([inputs, state], 1), self._kernel))
    return output, output
"""


def convolution(name):
    rank = int(name[4])
    return lambda module: getattr(module, name)(
        input_shape=[4] * rank + [8], output_channels=2, kernel_shape=[3] * rank
    )


BLOCKS = {"feature_size": 4, "frequency_skip": 2, "num_frequency_blocks": [3]}
CELLS = {
    **{name: (lambda module, name=name: getattr(module, name)(8)) for name in missing_names._RESEARCH},
    **{name: convolution(name) for name in ("Conv1DLSTMCell", "Conv2DLSTMCell", "Conv3DLSTMCell")},
    "ConvLSTMCell": lambda module: module.ConvLSTMCell(1, [4, 8], 2, [3]),
    "GLSTMCell": lambda module: module.GLSTMCell(8, number_of_groups=2, num_proj=4),
    "TimeFreqLSTMCell": lambda module: module.TimeFreqLSTMCell(8, feature_size=8),
    "GridLSTMCell": lambda module: module.GridLSTMCell(8, **BLOCKS),
    "BidirectionalGridLSTMCell": lambda module: module.BidirectionalGridLSTMCell(8, **BLOCKS),
    "LayerNormLSTMCell": lambda module: module.LayerNormLSTMCell(8, layer_norm=True),
    "NTMCell": lambda module: module.NTMCell(rnn_cell.LSTMCell(8), 4, 3, 1, 1, output_dim=5),
}
del CELLS["NTMControllerState"]  # A namedtuple, the state of NTMCell.


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """TensorFlow's module, and its copy after the move and the change that the page tells."""
    original = importlib.import_module("tensorflow.contrib.rnn.python.ops.rnn_cell")
    path = tmp_path_factory.mktemp("copies") / "rnn_cell_copy.py"
    with open(original.__file__.replace(".pyc", ".py"), "rb") as source:
        moved = old_program.move(source.read()).decode()
    (lines,) = pages.blocks("stacked_lstm/rnn_cell/README.md", "text")
    before, after = moved.split("  normalized = layers.layer_norm(inp, reuse=True, scope=scope)\n", 1)
    path.write_text(before + textwrap.indent(lines, "  ") + after, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, str(path))
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return original, copy


def inputs_of(name):
    numbers = np.random.RandomState(0)
    x = numbers.randn(2, 5, *[4] * int(name[4] if name[4:6] in ("1D", "2D", "3D") else name == "ConvLSTMCell"), 8)
    x = tf.constant(x, tf.float32)
    return (tf.constant(np.cumsum(numbers.rand(2, 5, 1), axis=1), tf.float32), x) if name == "PhasedLSTMCell" else x


@pytest.mark.skipif(not versions.OLD, reason="only TensorFlow 1.15 has the file")
@pytest.mark.parametrize("name", sorted(CELLS))
def test_research_cells(name, files):
    results = []
    for module, loop in zip(files, (tf.nn.dynamic_rnn, rnn_cell.dynamic_rnn)):
        with tf.Graph().as_default(), tf.Session() as session:
            run = loop(CELLS[name](module), inputs_of(name), dtype=tf.float32)
            variables = sorted(tf.global_variables(), key=lambda variable: variable.op.name)
            numbers = np.random.RandomState(1)
            arrays = [numbers.uniform(0.1, 0.6, variable.shape.as_list()) for variable in variables]
            session.run([variable.assign(array) for variable, array in zip(variables, arrays)])
            results.append(([variable.op.name for variable in variables], session.run(tf.nest.flatten(run))))
    (names, expected), (copied_names, actual) = results
    assert copied_names == names and names
    for array, other in zip(actual, expected):
        np.testing.assert_allclose(array, other, rtol=1e-5, atol=1e-6)


def test_a_cell_in_the_words_of_the_file(session):
    assert old_program.remarks(CELL) == []
    module = types.ModuleType("moved")
    exec(old_program.move(CELL).decode(), module.__dict__)
    x = np.random.RandomState(0).randn(2, 5, 3)
    outputs, _ = rnn_cell.dynamic_rnn(module.PlainCell(4), tf.constant(x, tf.float32), dtype=tf.float32)
    assert rnn_cell.engine_used(outputs).name == "stepwise"
    (variable,) = tf.global_variables()
    assert variable.op.name == "rnn/plain_cell/kernel"
    session.run(tf.global_variables_initializer())
    actual, kernel = session.run([outputs, variable])
    state = np.zeros([2, 4])
    for step in range(5):
        state = np.tanh(np.concatenate([x[:, step], state], axis=1) @ kernel)
        np.testing.assert_allclose(actual[:, step], state, rtol=1e-5, atol=1e-6)
