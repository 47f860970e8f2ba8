"""Variables of the drop-in: a program makes the same variables with TensorFlow's own cells and with the drop-in's.

TensorFlow's own cells are `tf.nn.rnn_cell` under 1.15, and the frozen copy in newer versions.
"""

import functools
import inspect

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.suite.sessions import plain_session
from support.suite.sets import ONCE


def x():
    return tf.zeros([2, 3])


def call(cell, scope=None, inputs=None):
    inputs = x() if inputs is None else inputs
    return cell(inputs, cell.zero_state(2, inputs.dtype), scope=scope)


def run(m, cell, **options):
    return m.dynamic_rnn(cell, tf.zeros([2, 5, 3]), dtype=tf.float32, **options)


class Programs:
    """Programs, each a function of a module that has the cells and both loops."""

    def two_cells(m):  # noqa: N805 - programs are functions of the module
        call(m.BasicLSTMCell(4))
        call(m.BasicLSTMCell(4))
        call(m.LSTMCell(4))

    def other_cells(m):  # noqa: N805
        with tf.variable_scope("scale", initializer=tf.constant_initializer(2.0)):
            call(m.BasicRNNCell(4))
            run(m, m.MultiRNNCell([m.GRUCell(4), m.GRUCell(5, bias_initializer=tf.zeros_initializer())]))
        call(m.GRUCell(4, kernel_initializer=tf.zeros_initializer(), reuse=tf.AUTO_REUSE, trainable=False))
        call(m.GRUCell(4, reuse=True))

    def second_call_reuses(m):  # noqa: N805
        cell = m.LSTMCell(4, use_peepholes=True, num_proj=2)
        call(cell)
        with tf.variable_scope("elsewhere"):
            call(cell)

    def another_width_on_the_second_call(m):  # noqa: N805
        cell = m.LSTMCell(4)
        call(cell)
        call(cell, inputs=tf.zeros([2, 7]))

    def names(m):  # noqa: N805
        call(m.LSTMCell(4, name="encoder"))
        call(m.BasicLSTMCell(4, name="encoder"))
        call(m.BasicLSTMCell(4, name="encoder", reuse=tf.AUTO_REUSE), scope="mine")

    def scopes(m):  # noqa: N805
        call(m.LSTMCell(4), scope="mine")
        with tf.variable_scope("outer") as outer:
            call(m.LSTMCell(4), scope="mine")
        with tf.variable_scope("other"):
            call(m.LSTMCell(4), scope=outer)

    def the_same_scope_twice(m):  # noqa: N805
        call(m.LSTMCell(4), scope="mine")
        call(m.LSTMCell(4), scope="mine")

    def reuse(m):  # noqa: N805
        call(m.LSTMCell(4))
        call(m.LSTMCell(4, reuse=True))
        call(m.LSTMCell(4, reuse=tf.AUTO_REUSE))
        call(m.LSTMCell(4, reuse=tf.AUTO_REUSE, name="another"))

    def reuse_of_nothing(m):  # noqa: N805
        call(m.LSTMCell(4, reuse=True))

    def reuse_of_another_size(m):  # noqa: N805
        call(m.LSTMCell(4))
        call(m.LSTMCell(5, reuse=True))

    def models_that_share(m):  # noqa: N805
        for reuse in (None, True):
            with tf.variable_scope("model", reuse=reuse):
                run(m, m.MultiRNNCell([m.BasicLSTMCell(4), m.BasicLSTMCell(5)]))

    def two_loops_need_a_scope(m):  # noqa: N805
        run(m, m.LSTMCell(4))
        run(m, m.LSTMCell(4))

    def two_loops_of_one_cell(m):  # noqa: N805
        cell = m.LSTMCell(4)
        run(m, cell)
        run(m, cell, scope="again")

    def loops_in_scopes(m):  # noqa: N805
        run(m, m.LSTMCell(4), scope="encoder")
        with tf.variable_scope("decoder") as decoder:
            run(m, m.LSTMCell(4))
        run(m, m.MultiRNNCell([m.LSTMCell(4)]), scope=decoder)

    def stack(m):  # noqa: N805
        cell = m.MultiRNNCell([m.BasicLSTMCell(4), m.LSTMCell(5, True, num_proj=2), m.LSTMCell(4, name="last")])
        call(cell)
        call(cell)

    def nested_stack(m):  # noqa: N805
        run(m, m.MultiRNNCell([m.MultiRNNCell([m.LSTMCell(4)]), m.LSTMCell(4)]))

    def one_cell_in_two_layers(m):  # noqa: N805
        run(m, m.MultiRNNCell([m.LSTMCell(3)] * 2))

    def wrappers_add_no_scope(m):  # noqa: N805
        cells = [m.DropoutWrapper(m.LSTMCell(3), 0.5), m.ResidualWrapper(m.DeviceWrapper(m.LSTMCell(3), "/cpu:0"))]
        run(m, m.DropoutWrapper(m.MultiRNNCell(cells), output_keep_prob=0.5))

    def wrapped_in_a_scope(m):  # noqa: N805
        call(m.ResidualWrapper(m.LSTMCell(3)), scope="mine")

    def both_directions(m):  # noqa: N805
        m.bidirectional_dynamic_rnn(m.LSTMCell(4), m.LSTMCell(5), tf.zeros([2, 5, 3]), dtype=tf.float32)
        m.bidirectional_dynamic_rnn(
            m.BasicLSTMCell(4), m.BasicLSTMCell(4), tf.zeros([2, 5, 3]), [3, 4], dtype=tf.float32, scope="second"
        )

    def built_before_the_call(m):  # noqa: N805
        with tf.variable_scope("early"):
            cell = m.LSTMCell(4, dtype=tf.float32)
            cell.build(tf.TensorShape([None, 3]))
        run(m, cell)

    def initializer_of_the_scope(m):  # noqa: N805
        with tf.variable_scope("ones", initializer=tf.ones_initializer()):
            run(m, m.LSTMCell(4, use_peepholes=True, num_proj=2))

    def initializer_of_the_cell(m):  # noqa: N805
        with tf.variable_scope("ones", initializer=tf.ones_initializer()):
            run(m, m.LSTMCell(4, use_peepholes=True, num_proj=2, initializer=tf.constant_initializer(2.0)))

    def partitions(m):  # noqa: N805
        run(m, m.LSTMCell(4, num_unit_shards=2, num_proj=4, num_proj_shards=2))
        with tf.variable_scope("parts", partitioner=tf.fixed_size_partitioner(2)):
            run(m, m.BasicLSTMCell(4))

    def regularizer(m):  # noqa: N805
        with tf.variable_scope("small", regularizer=tf.nn.l2_loss):
            run(m, m.MultiRNNCell([m.BasicLSTMCell(4), m.BasicLSTMCell(4)]))

    def not_trainable(m):  # noqa: N805
        call(m.LSTMCell(4, trainable=False))

    def getter_of_the_scope(m):  # noqa: N805
        with tf.variable_scope("fixed", custom_getter=lambda get, *a, **k: get(*a, **dict(k, trainable=False))):
            run(m, m.MultiRNNCell([m.LSTMCell(4)]))

    def dtypes(m):  # noqa: N805
        call(m.LSTMCell(4, dtype=tf.float64), inputs=tf.zeros([2, 3], tf.float64))
        call(m.BasicLSTMCell(4), inputs=tf.zeros([2, 3], tf.float16))

    def another_dtype_than_the_cell_has(m):  # noqa: N805
        call(m.LSTMCell(4, dtype=tf.float64))

    def resource_variables(m):  # noqa: N805
        with tf.variable_scope("resources", use_resource=True):
            run(m, m.LSTMCell(4))

    def cell_of_a_users(m):  # noqa: N805
        class PlainRNNCell(m.RNNCell):
            state_size = output_size = property(lambda self: 3)

            def call(self, inputs, state):
                w = tf.get_variable("w", [3, 3], inputs.dtype)
                counter = tf.get_variable("seen", [], tf.int32, trainable=False)
                state = tf.tanh(tf.matmul(inputs, w) + state + tf.cast(counter, tf.float32))
                return state, state

        run(m, m.MultiRNNCell([PlainRNNCell(), m.LSTMCell(3), PlainRNNCell(name="mine")]))
        cell = PlainRNNCell()
        call(cell)
        call(cell)

    def names_with_numbers(m):  # noqa: N805
        class OwnCell(m.RNNCell):
            state_size = output_size = property(lambda self: 3)

            def call(self, inputs, state):
                w = tf.get_variable(f"{self.name}_w", [3, 3])
                return tf.matmul(inputs, w), state

        def name(cell):
            tf.get_variable(f"names/{cell.name}", [])
            return cell

        call(name(OwnCell()))
        cells = [name(OwnCell(name="mine")), name(OwnCell()), name(m.LSTMCell(3)), name(m.BasicLSTMCell(3))]
        cells += [name(m.DropoutWrapper(name(m.LSTMCell(3)), 0.5)), name(m.ResidualWrapper(name(m.GRUCell(3))))]
        run(m, name(m.MultiRNNCell(cells)))
        with tf.Graph().as_default():
            other = m.LSTMCell(3)
        tf.get_variable(f"first/{other.name}", [])  # Each graph counts for itself.
        name(m.LSTMCell(3))

    def names_that_a_subclass_sets(m):  # noqa: N805
        for attribute in ("_name", "_base_name"):
            cell = type("Own", (m.LSTMCell,), {})(3)
            setattr(cell, attribute, "mine")
            call(cell)
            tf.get_variable(f"names/{attribute}/{cell.name}", [])

    def scopes_as_names(m):  # noqa: N805
        with tf.variable_scope("a"), tf.variable_scope("b") as scope:
            pass
        for cell in (m.LSTMCell(4, name=scope), m.GRUCell(4, name=scope), m.BasicRNNCell(4, name=scope)):
            call(cell)
            tf.get_variable(f"names/{cell.name}", [])
            call(type(cell).from_config(cell.get_config()))
        call(m.LSTMCell(4, name=scope, reuse=tf.AUTO_REUSE))
        call(m.LSTMCell(4, name=tf.get_variable_scope()))
        with tf.variable_scope("outer") as outer:
            run(m, m.MultiRNNCell([m.LSTMCell(4, name=outer), m.LSTMCell(4, name=scope), m.LSTMCell(4, name="last")]))

    def empty_names(m):  # noqa: N805
        class OwnCell(m.RNNCell):
            state_size = output_size = property(lambda self: 3)

            def call(self, inputs, state):
                return tf.matmul(inputs, tf.get_variable("w", [3, 3])), state

        for number, cell in enumerate((m.LSTMCell(4, name=""), OwnCell(name=""), OwnCell(_scope=""))):
            with tf.variable_scope(f"outer_{number}"):
                call(cell)
                tf.get_variable(f"names/{cell.name}", [])

    def cells_from_configurations(m):  # noqa: N805
        for cell in (m.LSTMCell(4), m.LSTMCell(4), m.BasicLSTMCell(4, name="mine")):
            call(type(cell).from_config(cell.get_config()))

    def cell_of_a_users_with_build(m):  # noqa: N805
        class _BuiltCell(m.RNNCell):
            state_size = output_size = property(lambda self: 3)

            def build(self, shape):
                self.w = self.add_variable("w", [3, 3], initializer=tf.ones_initializer())
                self.scale = self.add_weight("scale", shape=[3], trainable=False)
                self.built = True

            def call(self, inputs, state):
                return tf.matmul(inputs, self.w) * self.scale, state

        run(m, _BuiltCell())


class DropIn:
    dynamic_rnn = staticmethod(rnn_cell.dynamic_rnn)
    bidirectional_dynamic_rnn = staticmethod(rnn_cell.bidirectional_dynamic_rnn)

    def __getattr__(self, name):
        return getattr(rnn_cell, name)


class Stepwise(DropIn):
    @staticmethod
    def dynamic_rnn(*args, **options):
        return rnn_cell.dynamic_rnn(*args, engine="stepwise", **options)


class TensorFlow(DropIn):
    dynamic_rnn = staticmethod(tf.nn.dynamic_rnn)
    bidirectional_dynamic_rnn = staticmethod(tf.nn.bidirectional_dynamic_rnn)

    def __getattr__(self, name):
        return getattr(parity.rnn_cell()[0], name)


def outcome(program, m):
    """The variables that a program makes, and the class of its error."""
    with tf.Graph().as_default(), plain_session() as session:
        error = None
        try:
            program(m)
        except (ValueError, TypeError) as raised:
            error = type(raised)
        variables = tf.global_variables()
        session.run(tf.global_variables_initializer())
        zero = {variable.name for variable, array in zip(variables, session.run(variables)) if not np.any(array)}
        return {
            "error": error,
            "variables": [(v.name, v.dtype, v.shape.as_list()) for v in variables],
            "trainable": [v.name for v in tf.trainable_variables()],
            "zero": zero,
            "regularized": len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)),
        }


@functools.lru_cache(None)
def expected_outcome(name):
    return outcome(PROGRAMS[name], TensorFlow())


PROGRAMS = {name: program for name, program in vars(Programs).items() if not name.startswith("__")}
FAILING = {
    "another_width_on_the_second_call",
    "the_same_scope_twice",
    "reuse_of_nothing",
    "reuse_of_another_size",
    "two_loops_need_a_scope",
    "another_dtype_than_the_cell_has",
}


@pytest.mark.parametrize("module", [DropIn(), pytest.param(Stepwise(), marks=ONCE)], ids=["engines", "stepwise"])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_same_variables(name, module):
    expected = expected_outcome(name)
    assert outcome(PROGRAMS[name], module) == expected
    assert (expected["error"] is not None) == (name in FAILING)


# Class of `rnn_cell` with an argument `name` -> a call of it with this argument, which makes variables.
NAMED = {
    "BasicLSTMCell": lambda **name: call(rnn_cell.BasicLSTMCell(4, **name)),
    "BasicRNNCell": lambda **name: call(rnn_cell.BasicRNNCell(4, **name)),
    "CudnnLSTM": lambda **name: rnn_cell.CudnnLSTM(1, 4, **name)(tf.zeros([5, 2, 3])),
    "GRUBlockCell": lambda **name: call(rnn_cell.GRUBlockCell(4, **name)),
    "GRUBlockCellV2": lambda **name: call(rnn_cell.GRUBlockCellV2(4, **name)),
    "GRUCell": lambda **name: call(rnn_cell.GRUCell(4, **name)),
    "LSTMBlockCell": lambda **name: call(rnn_cell.LSTMBlockCell(4, **name)),
    "LSTMBlockFusedCell": lambda **name: rnn_cell.LSTMBlockFusedCell(4, **name)(tf.zeros([5, 2, 3]), dtype=tf.float32),
    "LSTMCell": lambda **name: call(rnn_cell.LSTMCell(4, **name)),
    "RNNCell": None,  # Subclasses define a call.
}


def parameters(name):
    return (
        inspect.signature(getattr(rnn_cell, name).__init__).parameters
        if inspect.isclass(getattr(rnn_cell, name))
        else {}
    )


def test_all_classes_with_names_are_listed():
    bases = {"LayerRNNCell", "_LayerRNNCell", "_RNNCell"}
    assert {name for name in rnn_cell.__all__ if "name" in parameters(name)} - bases == {*NAMED}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_variable_scope_as_name(name):
    """The annotation says that it may be one."""
    assert "tf.VariableScope" in parameters(name)["name"].annotation
    with tf.variable_scope("outer"), tf.variable_scope("inner") as scope:
        pass
    if NAMED[name]:
        NAMED[name](name=scope)
        assert all(v.op.name.startswith("outer/inner/") for v in tf.global_variables())
        assert tf.global_variables()
