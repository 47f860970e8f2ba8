"""Methods of TensorFlow's classes, private ones too, that subclasses of programs override or call."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf

UNITS, WIDTH = 3, 4


def run(cell, scope="rnn", session=None):
    """The outputs of a cell; their values if there is a session."""
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 5, WIDTH]).astype(np.float32))
    with tf.variable_scope(scope, initializer=tf.random_normal_initializer(seed=1)):
        outputs, state = rnn_cell.dynamic_rnn(cell, x, [5, 2], dtype=tf.float32)
    if session is None:
        return outputs, state
    session.run(tf.global_variables_initializer())
    return session.run([outputs, state])


class OtherKernel(rnn_cell.LayerNormBasicLSTMCell):
    """A cell with the kernel of another one, as in meta-learning."""

    def __init__(self, kernel, bias, **options):
        super().__init__(UNITS, **options)
        self.kernel_and_bias = kernel, bias

    def _linear(self, args):
        kernel, bias = self.kernel_and_bias
        z = tf.matmul(args, kernel)
        return z if self._layer_norm else tf.nn.bias_add(z, bias)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_another_linear_map(layer_norm, session):
    plain = rnn_cell.LayerNormBasicLSTMCell(UNITS, layer_norm=layer_norm)
    expected, _ = run(plain)
    before = len(tf.global_variables())
    kernel, bias = plain._kernel, plain._bias
    outputs, _ = run(OtherKernel(kernel, bias, layer_norm=layer_norm), scope="other")
    assert rnn_cell.engine_used(expected).name != "stepwise"
    assert "no engine runs the class OtherKernel" in rnn_cell.engine_used(outputs).reason
    assert len(tf.global_variables()) - before == 10 * layer_norm  # The norms, but no kernel and no bias.
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run([outputs, expected]), atol=1e-6)


def test_another_norm(session):
    """Without norms, the cell is a `BasicLSTMCell` without a bias."""

    class NoNorm(rnn_cell.LayerNormBasicLSTMCell):
        def _norm(self, inp, scope, dtype=tf.float32):
            return inp

    cell = NoNorm(UNITS)
    outputs, _ = run(cell)
    assert [variable.op.name for variable in cell.variables] == ["rnn/rnn/no_norm/kernel"]
    basic = rnn_cell.BasicLSTMCell(UNITS)
    expected, _ = run(basic, scope="basic")
    session.run(tf.global_variables_initializer())
    session.run([basic._kernel.assign(cell.variables[0])])
    np.testing.assert_allclose(*session.run([outputs, expected]), atol=1e-6)


class Context(rnn_cell.LayerNormBasicLSTMCell):
    """A cell whose kernel also sees a context of width 2."""

    def _linear(self, args):
        return super()._linear(tf.concat([args, tf.ones_like(args[:, :2])], axis=1))


@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_wider_linear_map(layer_norm, session):
    cell = Context(UNITS, layer_norm=layer_norm)
    _, state = run(cell, session=session)
    shapes = {variable.op.name.rpartition("context/")[2]: variable.shape.as_list() for variable in cell.variables}
    assert shapes["kernel"] == [WIDTH + UNITS + 2, 4 * UNITS]
    assert set(shapes) - {"kernel"} == (
        {f"{gate}/{name}" for gate in ("input", "transform", "forget", "output", "state") for name in ("gamma", "beta")}
        if layer_norm
        else {"bias"}
    )
    run(cell, scope="again")
    assert len(cell.variables) == len(shapes) and np.any(state.h)


class OwnCall(rnn_cell.LayerNormBasicLSTMCell):
    """A `call` of its own, with two of the cell's methods, and an output of another size, as in a dialogue policy."""

    output_size = property(lambda self: 2)
    state_size = property(lambda self: rnn_cell.LSTMStateTuple(UNITS, 2))

    def call(self, inputs, state):
        c, h = state
        i, j, f, o = tf.split(self._linear(tf.concat([inputs, h], axis=1)), 4, axis=1)
        c = c * tf.sigmoid(f) + tf.sigmoid(self._norm(i, "input")) * tf.tanh(j)
        h = (tf.tanh(c) * tf.sigmoid(o))[:, :2]
        return h, rnn_cell.LSTMStateTuple(c, h)


def test_a_call_with_the_methods_of_the_cell(session):
    """In NumPy. Only the variables that the call reads exist."""
    cell = OwnCall(UNITS)
    outputs, state = run(cell, session=session)
    names = [variable.op.name.rpartition("own_call/")[2] for variable in cell.variables]
    assert names == ["kernel", "input/gamma", "input/beta"]
    kernel, gamma, beta = [array.astype(np.float64) for array in session.run(cell.variables)]
    x = np.random.RandomState(0).standard_normal([2, 5, WIDTH])
    c, h = np.zeros([2, UNITS]), np.zeros([2, 2])

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for t in range(5):
        i, j, f, o = np.split(np.concatenate([x[:, t], h], axis=1) @ kernel, 4, axis=1)
        i = (i - i.mean(1, keepdims=True)) / np.sqrt(i.var(1, keepdims=True) + 1e-12) * gamma + beta
        c = c * sigmoid(f) + sigmoid(i) * np.tanh(j)
        h = (np.tanh(c) * sigmoid(o))[:, :2]
        np.testing.assert_allclose(outputs[0, t], h[0], atol=1e-5)
    np.testing.assert_allclose(state.c[0], c[0], atol=1e-5)


class OldCell(OwnCall):
    """A cell as in TensorFlow 1.0: its step is `__call__`."""

    def __call__(self, inputs, state, scope=None):
        with tf.variable_scope(scope or "old_cell"):
            return self.call(inputs, state)


class OwnBuild(OwnCall):
    """A cell that makes a variable before the first step."""

    def build(self, inputs_shape):
        self.add_variable("scale", [])
        self.built = True


@pytest.mark.parametrize("cls, first", [(OldCell, []), (OwnBuild, ["scale"])])
def test_the_methods_of_the_cell_without_its_build(cls, first, session):
    """The outputs are those of the same step in `call`, with the same variables."""
    outputs, _ = run(cls(UNITS))
    names = [variable.op.name.rpartition("_cell/")[2].rpartition("build/")[2] for variable in tf.global_variables()]
    assert names == [*first, "kernel", "input/gamma", "input/beta"]
    own = OwnCall(UNITS)
    expected, _ = run(own, scope="own")
    made = tf.global_variables()[len(first) :]
    session.run(tf.global_variables_initializer())
    session.run([variable.assign(value) for variable, value in zip(own.variables, made)])
    np.testing.assert_array_equal(*session.run([outputs, expected]))


def test_a_linear_map_of_an_object(session):
    """It reads no variable of the cell, so there is none."""
    cell = rnn_cell.LayerNormBasicLSTMCell(UNITS, layer_norm=False)
    cell._linear = lambda args: tf.zeros_like(args[:, :1]) + tf.ones([4 * UNITS])
    outputs, _ = run(cell, session=session)
    assert tf.global_variables() == [] and np.all(outputs[0] > 0)


def masked(base, method):
    """A class of pruned cells: each variable is multiplied by a mask."""

    def add(self, name, shape=None, **options):
        make = getattr(super(cls, self), method)
        variable = make(name + "_weight", shape, **options)
        return variable * make(name + "_mask", shape, **dict(options, initializer=tf.zeros_initializer()))

    cls = type("Masked", (base,), {method: add})
    return cls


@pytest.mark.parametrize("method", ["add_variable", "add_weight"])
@pytest.mark.parametrize("base", [rnn_cell.BasicLSTMCell, rnn_cell.LSTMCell, rnn_cell.GRUCell, rnn_cell.NASCell])
def test_masks_of_variables(base, method, session):
    """All weights are zero, and so are the outputs, except for the gates of a GRU, whose candidate is tanh(0)."""
    cell = masked(base, method)(UNITS)
    outputs, _ = run(cell, session=session)
    assert not np.any(outputs)
    assert {variable.op.name.rpartition("_")[2] for variable in cell.variables} == {"weight", "mask"}


def test_masks_that_tensorflow_does_not_apply():
    """The variables of this cell do not come from these methods in TensorFlow 1.15, either."""
    for method in ("add_variable", "add_weight"):
        cell = masked(rnn_cell.LayerNormBasicLSTMCell, method)(UNITS, layer_norm=False)
        run(cell, scope=method)
        assert [variable.op.name.rpartition("/")[2] for variable in cell.variables] == ["kernel", "bias"]


def test_another_attention(session):
    class Constant(rnn_cell.AttentionCellWrapper):
        def _attention(self, query, attn_states):
            attention, rest = super()._attention(query, attn_states)
            return 0 * attention + 0.5, rest

    _, state = run(Constant(rnn_cell.LSTMCell(UNITS), 2), session=session)
    np.testing.assert_array_equal(state[1], np.full([2, UNITS], np.float32(0.5)))


def test_another_variational_dropout(session):
    class Doubled(rnn_cell.DropoutWrapper):
        def _variational_recurrent_dropout_value(self, unused_index, value, noise, keep_prob):
            return 2 * value

    options = {"variational_recurrent": True, "dtype": tf.float32, "output_keep_prob": 0.5}
    outputs, _ = run(Doubled(rnn_cell.LSTMCell(UNITS, name="cell"), **options))
    expected, _ = run(rnn_cell.LSTMCell(UNITS, name="cell"), scope="plain")
    assert "no engine runs the class Doubled" in rnn_cell.engine_used(outputs).reason
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run([outputs, 2 * expected]), atol=1e-6)


@pytest.mark.parametrize("name", ["build", "call", "_call_cell"])
def test_methods_that_nothing_calls(name):
    """Also if they come from another base class."""
    methods = {name: lambda self, *args: args}
    for bases, own in (((), methods), ((type("Mixin", (), methods),), {})):
        with pytest.raises(TypeError, match=f"^Fused: expected a class without `{name}`, which nothing calls"):
            type("Fused", (*bases, rnn_cell.LSTMBlockFusedCell), own)
