"""What the loops log."""

import pytest

from support.processes import programs
from support.suite.sets import ONCE

# A program as people write it. TensorFlow logs its advice once per process, hence a process per function.
PROGRAM = """
import tensorflow.compat.v1 as tf
from stacked_lstm import rnn_cell
from stacked_lstm.contrib import crf
tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.INFO)
x = tf.zeros([2, 3, 4])
cells = [rnn_cell.LSTMCell(4), rnn_cell.LSTMCell(4)]
{}
tf.logging.info("the end")
"""

CALLS = {
    "dynamic_rnn": "rnn_cell.dynamic_rnn(cells[0], x, dtype=tf.float32, engine='stepwise')",
    "static_rnn": "rnn_cell.static_rnn(cells[0], tf.unstack(x, axis=1), dtype=tf.float32, engine='stepwise')",
    "bidirectional": "rnn_cell.bidirectional_dynamic_rnn(*cells, x, dtype=tf.float32, engine='stepwise')",
    "static_bidirectional": "rnn_cell.static_bidirectional_rnn(*cells, tf.unstack(x, axis=1), dtype=tf.float32,"
    " engine='stepwise')",
    "crf": "crf.crf_log_likelihood(x, tf.zeros([2, 3], tf.int32), tf.constant([3, 2]))",
}


@ONCE
@pytest.mark.parametrize("name", sorted(CALLS))
def test_no_advice_to_use_keras(name):
    """Keras' layers do not run the cells of this package. Other messages of TensorFlow stay."""
    result = programs.run(["-c", PROGRAM.format(CALLS[name])])
    log = result.stderr.decode()
    assert result.returncode == 0 and "the end" in log, log
    assert "keras.layers" not in log
