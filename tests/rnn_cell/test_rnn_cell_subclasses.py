"""Subclasses of LSTM cells: those that leave the step alone run on engines, and compute what the loop computes."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf


class Named(rnn_cell.LSTMCell):
    """A cell with other defaults, a start of its own, and a helper."""

    def __init__(self, num_units):
        super().__init__(num_units, use_peepholes=True, num_proj=num_units, initializer=tf.constant_initializer(0.1))
        self.helper = "helper"

    def zero_state(self, batch_size, dtype):
        return rnn_cell.LSTMStateTuple(*[part + 0.5 for part in super().zero_state(batch_size, dtype)])

    def double(self, x):
        return 2 * x


class Deeper(Named):
    pass


class Mixed:
    def call(self, inputs, state):
        output, state = super().call(inputs, state)
        return 2 * output, state


class Output(rnn_cell.BasicLSTMCell):
    output_size = property(lambda self: 3)


class Call(rnn_cell.LSTMCell):
    def __call__(self, inputs, state, scope=None):
        return super().__call__(2 * inputs, state, scope)


def run(cell, engine=None):
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32))
    return rnn_cell.dynamic_rnn(cell, x, [5, 2], dtype=tf.float32, engine=engine)


@pytest.mark.parametrize("cell", [Named, Deeper])
def test_the_same_step(cell, session):
    results = []
    for engine in ("graph", "stepwise"):
        with tf.variable_scope(engine):
            results.append(run(cell(3), engine))
            assert rnn_cell.engine_used(results[-1][0]).name == engine
    names = [variable.op.name for variable in tf.global_variables()]
    scope = {Named: "named", Deeper: "deeper"}[cell]
    expected = ["kernel", "bias", "w_f_diag", "w_i_diag", "w_o_diag", "projection/kernel"]
    assert names == [f"{engine}/rnn/{scope}/{name}" for engine in ("graph", "stepwise") for name in expected]
    session.run(tf.global_variables_initializer())
    for actual, wanted in zip(*map(tf.nest.flatten, session.run(results))):
        np.testing.assert_allclose(actual, wanted, atol=1e-6)
        assert np.any(wanted)
    assert "stepwise" not in rnn_cell.engine_used(run(cell(4))[0]).name


@pytest.mark.parametrize("base", [rnn_cell.LSTMCell, rnn_cell.BasicLSTMCell, rnn_cell.LSTMBlockCell])
def test_other_steps(base):
    mixed = type("MixedCell", (Mixed, base), {})
    for cell in (mixed, type("DeeperCell", (mixed,), {})):
        with tf.variable_scope(cell.__name__):
            reason = rnn_cell.engine_used(run(cell(4))[0]).reason
        assert reason == f"TensorFlow's own loop, because there is a {cell.__name__}"


def test_other_outputs_and_inputs():
    assert rnn_cell.engine_used(run(Call(4))[0]).reason.endswith("there is a Call")
    with pytest.raises(ValueError, match="cannot run this call: there is an Output"):
        run(Output(4), "graph")
