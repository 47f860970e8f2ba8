"""Checkpoints of stacks with a learned or a projected initial state."""

import numpy as np

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from support.references import plain_lstm

SIZES, INPUT_SIZE = [4, 3], 2
X = np.random.RandomState(7).standard_normal([5, 6, INPUT_SIZE]).astype(np.float32)


def random_states(kind, sizes=SIZES, dtype=np.float32):
    random = np.random.RandomState(11)
    shapes = [[size] for size in sizes] if kind == "learned" else zip([INPUT_SIZE] + sizes, sizes)
    names = ("c", "h") if kind == "learned" else ("W_c", "W_h")
    return [{name: random.standard_normal(shape).astype(dtype) for name in names} for shape in shapes]


def saved_stack(path, kind, name="encoder"):
    """A checkpoint of a StackedLSTM with its optimizer; returns its layers and initial states."""
    layers, states = plain_lstm.float32_layers(SIZES, INPUT_SIZE), random_states(kind)
    with tf.Graph().as_default(), tf.Session() as session:
        lstm = StackedLSTM(SIZES, initial_state=kind, name=name)
        outputs, _ = lstm(tf.constant(X), time_major=True)
        tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(outputs))
        session.run(tf.global_variables_initializer())
        lstm.set_weights(session, layers, states)
        tf.train.Saver().save(session, str(path), write_meta_graph=False)
    return layers, states
