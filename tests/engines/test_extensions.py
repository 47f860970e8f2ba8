"""Three extensions that a user can write: an engine, a residual sum between layers, and another step equation.

Each is compared with a network of the same equations in NumPy, in complex numbers: its first derivative along a
direction is the imaginary part a tiny imaginary step leaves, exact to rounding; its second one a difference of those.
"""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, engines
from stacked_lstm.compat import tf
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import equations
from stacked_lstm.state import LSTMState
from support.references import numeric

# A toy engine: one layer and one step at a time, without a loop.


def run_unrolled(layers, x, states, lengths=None):
    finals = []
    for layer, (c, h) in zip(layers, states):
        fused, series = layer.fused(), []
        for t in range(x.shape.as_list()[0]):
            z = tf.matmul(x[t], fused.inputs) + tf.matmul(h, fused.recurrent) + fused.bias
            (c, h), _ = equations.step(z, c, layer.activation, layer.recurrent_activation)
            series.append(h)
        x, finals = tf.stack(series), finals + [LSTMState(c, h)]
    return x, finals


# A residual sum around each layer except the first.


class ResidualLSTM(StackedLSTM):
    def _segment(self, *arguments):
        first, *others = super()._segment(*arguments).parts
        return Segment([first] + [Segment([layer], after=lambda x, h: x + h) for layer in others])


# Coupled gates: a layer lets in as much as it forgets, i = 1 - f (Greff et al., LSTM: A Search Space Odyssey, 2015).


def coupled_step(z, c, layer):
    _, g, f, o = tf.split(z, 4, axis=-1)
    f, o = layer.recurrent_activation.function(f), layer.recurrent_activation.function(o)
    c = f * c + (1 - f) * layer.activation.function(g)
    return c, o * layer.activation.function(c)


class CoupledLSTM(StackedLSTM):
    def _segment(self, *arguments):
        return Segment([layer._replace(step=coupled_step) for layer in super()._segment(*arguments).parts])


# The same networks in NumPy.


def numpy_loss(x, layers, lengths, coupled=False, residual=False):
    """The sum of the squares of the outputs and of the cosines of the final states; x is [B, T, I]."""
    sigma = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    total, alive = 0, np.arange(x.shape[1]) < np.array(lengths)[:, None]
    for k, layer in enumerate(layers):
        c = h = np.zeros([len(x), layer["bf"].shape[0]])
        series = []
        for t in range(x.shape[1]):
            z = {gate: np.concatenate([h, x[:, t]], 1) @ layer["W" + gate] + layer["b" + gate] for gate in "fico"}
            f = sigma(z["f"])
            c_new = f * c + (1 - f if coupled else sigma(z["i"])) * np.tanh(z["c"])
            h_new = sigma(z["o"]) * np.tanh(c_new)
            here = alive[:, t, None]
            c, h = np.where(here, c_new, c), np.where(here, h_new, h)
            series.append(np.where(here, h_new + x[:, t] if residual and k else h_new, 0))
        x, total = np.stack(series, axis=1), total + np.sum(np.cos(c)) + np.sum(np.cos(h))
    return total + np.sum(x**2)


CASES = {
    "engine": (StackedLSTM, {"engine": "toy"}, {}),
    "residual on graph": (ResidualLSTM, {"engine": "graph"}, {"residual": True}),
    "residual on auto": (ResidualLSTM, {}, {"residual": True}),
    "equation": (CoupledLSTM, {}, {"coupled": True}),
}


@pytest.fixture(autouse=True)
def toy_engine(monkeypatch):
    monkeypatch.setitem(engines.ENGINES, "toy", Engine("toy", run_unrolled))


@pytest.mark.parametrize("case", sorted(CASES))
def test_first_and_second_derivatives(case, plain_session):
    kind, options, equation = CASES[case]
    lengths = [4, 4] if case == "engine" else [4, 2]
    x = tf.placeholder(tf.float64, [2, 4, 3])
    lstm = kind([3, 3, 3], dtype=tf.float64, bias_initializer="tn", name="network", **options)
    outputs, state = lstm(x, None if case == "engine" else lengths)
    finals = [tf.reduce_sum(tf.cos(part)) for part in tf.nest.flatten(state)]
    loss = tf.add_n([tf.reduce_sum(tf.square(outputs))] + finals)
    variables = [x] + lstm.variables
    random = np.random.RandomState(0)
    direction = [random.standard_normal(variable.shape.as_list()) for variable in variables]
    slope = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(tf.gradients(loss, variables), direction)])
    curvature = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(tf.gradients(slope, variables), direction)])
    plain_session.run(tf.global_variables_initializer())
    point = [random.standard_normal([2, 4, 3])] + plain_session.run(lstm.variables)
    names = [list(layer) for layer in lstm.variables_by_layer.layers]

    def loss_at(point):
        arrays = iter(point[1:])
        return numpy_loss(point[0], [{name: next(arrays) for name in layer} for layer in names], lengths, **equation)

    def slope_at(point):
        return loss_at([p + 1e-30j * d for p, d in zip(point, direction)]).imag / 1e-30

    feed = {x: np.where(np.arange(4)[:, None] < np.array(lengths)[:, None, None], point[0], np.nan)}
    found = plain_session.run([loss, slope, curvature], feed)
    assert numeric.relative_difference(found[0], loss_at(point)) < 1e-13
    assert numeric.relative_difference(found[1], slope_at(point)) < 1e-12
    assert numeric.relative_difference(found[2], numeric.central_difference(slope_at, point, direction)) < 1e-6
    assert lstm.engine_used.name == {"engine": "toy", "equation": "graph"}.get(case, lstm.engine_used.name)


def test_what_the_new_parts_need():
    with tf.Graph().as_default():
        with pytest.raises(
            ValueError,
            match="engine 'native' .asked for by .*. cannot run these layers: it does not support a step with",
        ):
            CoupledLSTM([2], engine="native")(tf.zeros([1, 1, 1]))
        lstm = CoupledLSTM([2], name="auto")
        lstm(tf.zeros([1, 1, 1]))
        assert "not native: it does not support a step with another equation" in lstm.engine_used.reason
    with pytest.raises(ValueError, match="`engine` to be one of auto, cudnn, graph, native, toy, got 'other'"):
        StackedLSTM([2], engine="other")


def test_a_learned_state_has_initializers(session):
    """One per variable, by its name; zeros for those that are not named."""
    lstm = StackedLSTM([2, 2], initial_state="learned", bias_initializer={"initial_state/layer_2/h": "tn"})
    lstm.build(1)
    session.run(tf.global_variables_initializer())
    first, second = lstm.get_weights(session).initial_state
    assert not np.any([first["c"], first["h"], second["c"]]) and np.all(second["h"] != 0)
    other = StackedLSTM([2], initial_state="learned", bias_initializer={"initial_state/layer_2/h": "tn"}, name="other")
    with pytest.raises(ValueError, match="keys of `bias_initializer` to be .*initial_state/layer_1/c.*layer_2/h$"):
        other.build(1)
