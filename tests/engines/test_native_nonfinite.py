"""NaN and Inf on the native engine: memory that nobody wrote, infinite inputs, and gates at their ends."""

import os
import subprocess
import sys

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from support.engines import native_ops
from support.suite.sets import ONCE

pytestmark = native_ops.NEEDS_NATIVE

HUNT = """
import numpy as np
from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf

tf.disable_v2_behavior()
with tf.Graph().as_default(), tf.Session() as session:  # An op that does not write its output.
    print(np.isnan(session.run(tf.raw_ops.Empty(shape=[1000], dtype=tf.float32))).all())
x = tf.constant(np.random.RandomState(0).standard_normal([3, 9, 5]), tf.float32)
lengths = tf.constant([6, 0, 3])
lstm = StackedLSTM([5, 33, 16], engine="native", initial_state="learned")
cell = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(n, True, 0.1, None, 3, 0.1) for n in (5, 18)])
first, state = lstm(x, lengths)
second, _ = rnn_cell.dynamic_rnn(cell, x, lengths, dtype=tf.float32, engine="native")
options = {"layer_norm": True, "residual": True, "stacking": "stacks"}
third, *_ = BidirectionalLSTM([5, 5], engine="native", name="normalized", **options)(x, lengths)
loss = tf.reduce_mean(third) + tf.reduce_mean(first) + tf.reduce_mean(second) + tf.reduce_mean(state[0].c)
gradients = tf.gradients(loss, [x] + tf.trainable_variables())
checks = tf.add_check_numerics_ops()
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run([checks, loss, gradients])
print("finite")
"""


@ONCE
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD is Linux's")
def test_everything_is_written(tmp_path):
    """tf.add_check_numerics_ops() finds nothing in a training step, although all new memory is NaN."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fill_memory.cc")
    library = str(tmp_path / "fill_memory.so")
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    environment = dict(os.environ, LD_PRELOAD=library)
    process = subprocess.run([sys.executable, "-c", HUNT], env=environment, capture_output=True)
    assert process.stdout.decode().split() == ["True", "finite"], process.stderr.decode()[-2000:]


def stack(x, engine):
    lstm = StackedLSTM([18, 5], engine=engine, dtype=x.dtype)
    return lstm(x)[0], lstm.variables


def cells(x, engine):
    cell = rnn_cell.LSTMCell(18, True, 0.4, None, 5, 0.4)
    return rnn_cell.dynamic_rnn(cell, x, dtype=x.dtype, engine=engine)[0], cell.trainable_weights


def results(network, engine, x, dtype):
    """Outputs and the gradients of x and of the variables, which have the same values for all engines."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(x, dtype)
        outputs, variables = network(x, engine)
        gradients = tf.gradients(1e4 * tf.reduce_sum(tf.square(outputs)), [x] + variables)
        random = np.random.RandomState(3)
        session.run([v.assign(0.5 * random.standard_normal(v.shape.as_list())) for v in variables])
        return session.run([outputs] + gradients)


@ONCE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", [stack, cells])
def test_an_infinite_input(network, dtype):
    """Units fill no whole vector. The sequences without the infinite number are as if it were not there."""
    x = np.random.RandomState(0).standard_normal([4, 6, 3])
    finite = results(network, "native", x, dtype)
    x[1, 2, 0] = np.inf
    actual, expected = (results(network, engine, x, dtype) for engine in ("native", "graph"))
    others = [0, 2, 3]
    for k in (0, 1):  # Outputs and d_x.
        np.testing.assert_array_equal(actual[k][others], finite[k][others])
        np.testing.assert_array_equal(np.isnan(actual[k]), np.isnan(expected[k]))
    assert not np.any(np.isnan(actual[1][:, 3:]))


@ONCE
@pytest.mark.parametrize("network", [stack, cells])
def test_gates_at_their_ends(network):
    """A huge input closes and opens gates for good: its gradients are zero, as on the graph engine."""
    x = np.random.RandomState(0).standard_normal([4, 6, 3])
    x[:, 3, 0] = 1e38
    actual, expected = (results(network, engine, x, "float32") for engine in ("native", "graph"))
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.max(np.abs(b)))


def test_sigmoid_far_out(session):
    """0 and 1, not the smallest normal number: i times g = 1, for biases of i."""
    z = np.array([-np.inf, -1e30, -1000, -104, 104, 1000, 1e30, np.inf], np.float32)
    zeros = np.zeros([len(z)], np.float32)
    values = {name: zeros[None] for name in "ch"}
    values.update({name: np.zeros([len(z), len(z)]) for name in ("Wi", "Wc", "Wf", "Wo")})
    values.update(x=np.zeros([1, 1, 0]), bi=z, bc=zeros + 1000, bf=zeros, bo=zeros)
    layer = native_ops.build("float32", lengths=False)
    c = session.run(layer.results["c"], {layer.feeds[key]: value for key, value in values.items()})[0]
    np.testing.assert_array_equal(c, [0, 0, 0, 0, 1, 1, 1, 1])
