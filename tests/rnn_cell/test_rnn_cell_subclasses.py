"""Subclasses of cells: those that leave the step alone run on engines, and compute what the loop computes."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base.lstm_base import LSTMBase


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


class Start(rnn_cell.BasicLSTMCell):
    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        zeros = super().get_initial_state(inputs, batch_size, dtype)
        return rnn_cell.LSTMStateTuple(zeros.c + 1, zeros.h + 0.5)


class Stack(rnn_cell.MultiRNNCell):
    def __init__(self, num_units):
        super().__init__([Named(num_units), rnn_cell.BasicLSTMCell(num_units)])


class Dropped(rnn_cell.DropoutWrapper):
    """The first step reads an h that is not zero, from which nothing is dropped."""

    def __init__(self, num_units):
        options = {"variational_recurrent": True, "dtype": tf.float32, "seed": 3}
        super().__init__(Start(num_units), state_keep_prob=0.5, **options)

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        return self._cell.get_initial_state(inputs, batch_size, dtype)


def run(cell, engine=None, **options):
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32))
    return rnn_cell.dynamic_rnn(cell, x, [5, 2], dtype=tf.float32, engine=engine, **options)


SAME = [Named, Deeper, Start, Stack, Dropped]


@pytest.mark.parametrize("cell", SAME)
def test_the_same_step(cell, session):
    results = []
    for engine in ("graph", "stepwise"):
        with tf.variable_scope(engine, initializer=tf.random_normal_initializer(seed=1)):
            results.append(run(cell(3), engine))
            assert rnn_cell.engine_used(results[-1][0]).name == engine
    names = [[v.op.name[len(k) :] for v in tf.global_variables(k + "/")] for k in ("graph", "stepwise")]
    assert names[0] == names[1] and len(names[0]) >= 2
    session.run(tf.global_variables_initializer())
    for actual, wanted in zip(*map(tf.nest.flatten, session.run(results))):
        np.testing.assert_allclose(actual, wanted, atol=1e-6)
        assert np.any(wanted)


@pytest.mark.parametrize("cell", SAME)
def test_they_run_on_the_engine_that_auto_selects(cell):
    assert "stepwise" not in rnn_cell.engine_used(run(cell(3))[0]).name


def call(self, inputs, state):
    """Another step."""
    output, state = rnn_cell.BasicLSTMCell.call(self, inputs, state)
    return 2 * output, state


def with_call(cls):
    cls.call = call
    return cls


class Meta(type(rnn_cell.BasicLSTMCell)):
    def __new__(cls, name, bases, members):
        return with_call(super().__new__(cls, name, bases, members))


def with_pack():
    return type("M", (rnn_cell.BasicLSTMCell,), {"_pack": lambda self, c, h: rnn_cell.LSTMStateTuple(2 * c, h)})


def sibling():
    parent, other = (
        type(name, (rnn_cell.BasicLSTMCell,), members) for name, members in (("A", {}), ("M", {"call": call}))
    )
    return type("Sibling", (parent, other), {})


OTHERS = {
    "call": lambda: type("Other", (rnn_cell.BasicLSTMCell,), {"call": call}),
    "__call__": lambda: type("Other", (rnn_cell.BasicLSTMCell,), {"__call__": call}),
    "output_size": lambda: type("Other", (rnn_cell.BasicLSTMCell,), {"output_size": property(lambda self: 3)}),
    "a mixin": lambda: type("Other", (type("Mixin", (), {"call": call}), rnn_cell.BasicLSTMCell), {}),
    "a parent": lambda: type("Other", (type("Parent", (rnn_cell.BasicLSTMCell,), {"call": call}),), {}),
    "a sibling": sibling,
    "a part of the step": lambda: type(
        "Other", (rnn_cell.BasicLSTMCell, type("M", (LSTMBase,), {"_pack": call})), {"_gates": 1}
    ),
    "a part in a sibling": lambda: type("Other", (type("A", (rnn_cell.BasicLSTMCell,), {}), with_pack()), {}),
    "a decorator": lambda: with_call(type("Other", (rnn_cell.BasicLSTMCell,), {})),
    "a metaclass": lambda: Meta("Other", (rnn_cell.BasicLSTMCell,), {}),
}


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_other_steps(kind):
    cls = OTHERS[kind]()
    with pytest.raises(ValueError, match=f"cannot run this call: no engine runs the class {cls.__name__}"):
        run(cls(4), "graph")


@pytest.mark.parametrize("name", ["call", "__call__"])
def test_classes_that_a_program_patches(name, monkeypatch):
    """Of the program, and of this package."""

    class Patched(rnn_cell.BasicLSTMCell):
        pass

    monkeypatch.setattr(Patched, name, call)
    with pytest.raises(ValueError, match="no engine runs the class Patched"):
        run(Patched(4), "graph")
    for cls, cell in ((rnn_cell.BasicLSTMCell, lambda: rnn_cell.BasicLSTMCell(4)), (rnn_cell.DropoutWrapper, dropped)):
        monkeypatch.setattr(cls, name, call)
        with pytest.raises(ValueError, match=f"no engine runs the class {cls.__name__}"):
            run(cell(), "graph")
        monkeypatch.undo()


def dropped():
    return rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), 0.5)


def changed(cell, name, value):
    setattr(cell, name, value)
    return cell


class Bare(rnn_cell.BasicLSTMCell):
    def __init__(self, num_units):
        rnn_cell.RNNCell.__init__(self)
        self._num_units, self._forget_bias, self._state_is_tuple, self._activation = num_units, 1.0, True, tf.tanh


class Harmless(rnn_cell.LSTMCell):
    """What the program adds is no part of a step, nor is how TensorFlow's loop is told the first state."""

    act = tf.tanh

    def __init__(self, num_units):
        super().__init__(num_units)
        self.act, self._activation = tf.nn.relu, tf.nn.tanh

    def __str__(self):
        return "cell"

    def __deepcopy__(self, memo):
        return type(self)(self._num_units)

    def get_initial_state(self, inputs, batch_size, dtype):
        return self.zero_state(batch_size, dtype)


def test_what_is_no_part_of_a_step():
    assert rnn_cell.engine_used(run(Harmless(4), "graph")[0]).name == "graph"


def test_a_start_that_a_program_patches(monkeypatch, session):
    """The first step reads an h that is not zero, from which nothing is dropped."""
    ones = lambda self, batch, dtype: rnn_cell.LSTMStateTuple(tf.ones([batch, 3]), tf.ones([batch, 3]))  # noqa: E731
    monkeypatch.setattr(rnn_cell.RNNCell, "zero_state", ones)
    options = {"state_keep_prob": 0.5, "variational_recurrent": True, "dtype": tf.float32, "seed": 3}
    results = []
    for engine in ("graph", "stepwise"):
        with tf.variable_scope(engine, initializer=tf.random_normal_initializer(seed=1)):
            results.append(run(rnn_cell.DropoutWrapper(rnn_cell.BasicLSTMCell(3), **options), engine)[0])
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run(results), atol=1e-6)


OBJECTS = {
    "call": lambda: changed(rnn_cell.LSTMCell(4), "call", call),
    "_pack": lambda: changed(rnn_cell.LSTMCell(4), "_pack", rnn_cell.LSTMStateTuple),
    "layer": lambda: changed(rnn_cell.LSTMCell(4), "layer", 3),
    "_activation": lambda: changed(rnn_cell.LSTMCell(4), "_activation", tf.nn.relu),
    "_call_wrapped_cell": lambda: changed(dropped(), "_call_wrapped_cell", call),
    "segment_maker": lambda: changed(rnn_cell.MultiRNNCell([dropped()]), "segment_maker", None),
}


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_objects_that_a_program_changes(name):
    with pytest.raises(ValueError, match=f"the program has replaced `{name}` of the "):
        run(OBJECTS[name](), "graph")


@pytest.mark.parametrize("make", [lambda: changed(rnn_cell.LSTMCell(4), "activation", tf.nn.relu), lambda: Bare(4)])
def test_attributes_that_tensorflow_s_cells_do_not_have(make, session):
    outputs, _ = run(make())
    assert rnn_cell.engine_used(outputs).name == "stepwise"
    session.run(tf.global_variables_initializer())
    assert np.any(session.run(outputs))


BIAS = [1.0, 2.0, -3.0]
PLACEHOLDER = lambda: tf.placeholder_with_default(BIAS, [3])  # noqa: E731


@pytest.mark.parametrize(
    "make, bias",
    [
        (make, bias)
        for make in (rnn_cell.BasicLSTMCell, rnn_cell.LSTMCell)
        for bias in (lambda: BIAS, lambda: np.float32(BIAS))
    ]
    + [
        (rnn_cell.LSTMCell, bias)
        for bias in (PLACEHOLDER, lambda: tf.Variable(BIAS), lambda: list(map(tf.constant, BIAS)))
    ],
)
def test_a_forget_bias_per_unit(make, bias, session):
    """TensorFlow's BasicLSTMCell takes no tensor of a graph."""
    results = []
    for engine in ("graph", "stepwise"):
        with tf.variable_scope(engine, initializer=tf.random_normal_initializer(seed=1)):
            results.append(run(make(3, forget_bias=bias()), engine)[0])
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run(results), atol=1e-6)


def test_a_forget_bias_per_sequence():
    cell = rnn_cell.LSTMCell(3, forget_bias=tf.ones([2, 3]))
    assert "the forget_bias of the LSTMCell has the shape (2, 3)" in rnn_cell.engine_used(run(cell)[0]).reason
