"""Wrappers in calls of dynamic_rnn and static_rnn that run on engines: which engine runs, numbers and derivatives.

No cell here draws a mask per step, so the numbers are those of TensorFlow's loop around the same cell, which
test_rnn_cell_golden.py compares with TensorFlow 1.15. test_rnn_cell_dropout_masks.py has masks per step.
"""

import re

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE, auto_engine
from support.networks.some_cells import random
from support.references import numeric
from support.suite.sessions import plain_session, set_variables
from support.suite.sets import some

LENGTHS = (5, 2, 0, 9)
X = random([4, 5, 3], dtype=np.float64)


def dropout(cell, *probabilities, seed=3, **options):
    return rnn_cell.DropoutWrapper(cell, *probabilities, seed=seed, **options)


def variational(cell, *probabilities, input_size=None, seed=3):
    return dropout(cell, *probabilities, seed=seed, variational_recurrent=True, input_size=input_size, dtype=tf.float64)


def fed(value):
    return tf.placeholder_with_default(value, [])


def variable(value):
    return tf.get_variable("keep_prob", initializer=value, trainable=False)


def nmt_residual(inputs, outputs):
    """As in TensorFlow's nmt tutorial: the inputs may be wider than the outputs."""

    def split_input(inp, out):
        inp_dim, out_dim = inp.get_shape().as_list()[-1], out.get_shape().as_list()[-1]
        return tf.split(inp, [out_dim, inp_dim - out_dim], axis=-1)

    actual_inputs, _ = tf.nest.map_structure(split_input, inputs, outputs)
    actual_inputs.get_shape().assert_is_compatible_with(outputs.get_shape())
    return tf.nest.map_structure(lambda inp, out: inp + out, actual_inputs, outputs)


STACK, LSTM, BASIC = rnn_cell.MultiRNNCell, rnn_cell.LSTMCell, rnn_cell.BasicLSTMCell
RESIDUAL, DEVICE = rnn_cell.ResidualWrapper, rnn_cell.DeviceWrapper
BLOCK, NORM = rnn_cell.LSTMBlockCell, rnn_cell.LayerNormBasicLSTMCell
COUPLED, HIGHWAY = rnn_cell.CoupledInputForgetGateLSTMCell, rnn_cell.HighwayWrapper
INPUT, OUTPUT = rnn_cell.InputProjectionWrapper, rnn_cell.OutputProjectionWrapper

# name -> (function that makes a cell for inputs of width 3, its engine). All masks are equal on all engines.
CELLS = {
    "packed state": (lambda: LSTM(4, state_is_tuple=False), "native"),
    "packed projection": (lambda: LSTM(4, num_proj=2, state_is_tuple=False), "native"),
    "packed stack": (
        lambda: STACK([BASIC(4, state_is_tuple=False), LSTM(5, state_is_tuple=False)], state_is_tuple=False),
        "native",
    ),
    "packed stacks in a stack": (
        lambda: STACK([STACK([LSTM(n, state_is_tuple=False)] * 1, state_is_tuple=False) for n in (4, 5)]),
        "native",
    ),
    "stack in a stack": (lambda: STACK([LSTM(4), STACK([BASIC(5), STACK([LSTM(2)])])]), "native"),
    "no dropout": (lambda: STACK([dropout(LSTM(4), fed(1.0), fed(1.0)), dropout(LSTM(5), fed(1.0))]), "native"),
    "variable of one": (lambda: dropout(LSTM(4), output_keep_prob=variable(1.0)), "native"),
    "variational": (lambda: variational(LSTM(4), 0.6, 0.7, input_size=3), "native"),
    "variational, fed": (lambda: variational(LSTM(4), fed(0.6), fed(0.7), input_size=3), "native"),
    "variational stack": (lambda: variational(STACK([LSTM(4), BASIC(5)]), 0.6, 0.7, input_size=3), "native"),
    "variational in a stack": (
        lambda: STACK([variational(LSTM(4), 0.6, input_size=3), variational(BASIC(5), 1.0, 0.7, seed=4)]),
        "native",
    ),
    "variational projection": (lambda: variational(LSTM(4, True, num_proj=2), 0.6, 0.7, input_size=3), "native"),
    "variational, packed": (lambda: variational(LSTM(4, state_is_tuple=False), 0.6, 0.7, input_size=3), "native"),
    "one mask per step for states, of one": (lambda: dropout(LSTM(4), 1.0, 1.0, fed(1.0)), "native"),
    "variational states": (lambda: variational(LSTM(4), 1.0, 1.0, 0.6), "native"),
    "variational states, fed": (lambda: variational(LSTM(4), 0.6, 0.7, fed(0.5), input_size=3), "native"),
    "variational states of a stack": (
        lambda: variational(
            STACK([LSTM(4), STACK([BASIC(5), variational(LSTM(2), 1.0, 0.7, 0.6, seed=4)])]), 1.0, 1.0, 0.7
        ),
        "native",
    ),
    "variational states, some": (lambda: STACK([BASIC(4), variational(LSTM(5), 1.0, 1.0, 0.6)]), "native"),
    "variational states, projection": (
        lambda: STACK([variational(LSTM(4, True, num_proj=2), 1.0, 1.0, 0.6), LSTM(3, cell_clip=0.3)]),
        "native",
    ),
    "residual": (lambda: RESIDUAL(LSTM(3)), "native"),
    "residual stack": (lambda: RESIDUAL(STACK([LSTM(4), BASIC(3)])), "native"),
    "residual layers": (lambda: STACK([LSTM(4), RESIDUAL(BASIC(4)), RESIDUAL(LSTM(4))]), "native"),
    "residual, packed": (lambda: RESIDUAL(LSTM(3, state_is_tuple=False)), "native"),
    "residual around variational": (lambda: RESIDUAL(variational(LSTM(3), 0.6, 0.7, input_size=3)), "native"),
    "variational around residual": (lambda: variational(RESIDUAL(LSTM(3)), 0.6, 0.7, input_size=3), "native"),
    "residual projection": (lambda: STACK([LSTM(4), RESIDUAL(LSTM(5, num_proj=4))]), "native"),
    "residual function": (lambda: RESIDUAL(LSTM(2), lambda x, h: 1.0 + tf.tanh(h) * x[:, 1:] - h), "native"),
    "residual function of nmt": (lambda: STACK([LSTM(5), RESIDUAL(LSTM(4), nmt_residual)]), "native"),
    "device": (lambda: DEVICE(LSTM(4), "/cpu:0"), "native"),
    "device stack": (lambda: DEVICE(STACK([LSTM(4), RESIDUAL(LSTM(4))]), "/cpu:0"), "native"),
    "device layers": (lambda: STACK([DEVICE(LSTM(4), "/cpu:0"), DEVICE(LSTM(5), "/device:CPU:0"), LSTM(2)]), "native"),
    "device, residual, variational": (
        lambda: STACK([DEVICE(RESIDUAL(variational(LSTM(3), 0.6, 0.7, input_size=3)), "/cpu:0"), LSTM(2)]),
        "native",
    ),
    "variational states of block cells": (
        lambda: STACK([variational(BLOCK(4), 0.6, 0.7, 0.8, input_size=3), RESIDUAL(BLOCK(4, 0.5))]),
        "native",
    ),
    "residual block cell with a clip": (
        lambda: STACK([RESIDUAL(BLOCK(3, cell_clip=0.3)), LSTM(2)]),
        "graph and native",
    ),
    "variational states of normalized cells": (
        lambda: variational(STACK([NORM(4), RESIDUAL(NORM(4, layer_norm=False))]), 0.6, 0.7, 0.8, input_size=3),
        "native",
    ),
    "variational states of coupled cells": (
        lambda: STACK(
            [
                variational(COUPLED(4, True, num_proj=3), 0.6, 0.7, 0.8, input_size=3),
                RESIDUAL(COUPLED(3, state_is_tuple=False)),
                COUPLED(2),
            ]
        ),
        "native",
    ),
    "highway": (lambda: HIGHWAY(LSTM(3), False, 0.5), "native"),
    "highways in a stack": (lambda: STACK([HIGHWAY(BASIC(3)), HIGHWAY(STACK([LSTM(3), LSTM(3)])), LSTM(2)]), "native"),
    "highway, residual, variational": (
        lambda: RESIDUAL(HIGHWAY(variational(LSTM(3), 0.6, 0.7, 0.8, input_size=3), False)),
        "native",
    ),
    "input projection": (lambda: INPUT(LSTM(4), 6, tf.tanh), "native"),
    "output projection": (lambda: OUTPUT(STACK([LSTM(4), BASIC(5)]), 2, tf.nn.softmax), "native"),
    "projections in a stack": (
        lambda: STACK([OUTPUT(INPUT(LSTM(4, num_proj=3), 5), 2), LSTM(3), INPUT(BLOCK(4), 2, tf.nn.elu)]),
        "native",
    ),
    "projections around wrappers": (
        lambda: OUTPUT(INPUT(variational(RESIDUAL(LSTM(4)), 0.6, 0.7, 0.8, input_size=4), 4, tf.sigmoid), 5, tf.tanh),
        "native",
    ),
    "the same highway twice": (lambda: STACK([HIGHWAY(LSTM(3, name="shared"))] * 2), "native"),
    "the same projection twice": (lambda: STACK([OUTPUT(LSTM(4, name="shared"), 3)] * 2), "native"),
}


def static_rnn(cell, x, lengths, engine, **start):
    steps = tf.unstack(x, axis=1)
    outputs, state = rnn_cell.static_rnn(cell, steps, sequence_length=lengths, engine=engine, **start)
    assert len(outputs) == len(steps)
    return tf.stack(outputs, axis=1), state, rnn_cell.engine_used(outputs).name


def dynamic_rnn(cell, x, lengths, engine, **start):
    outputs, state = rnn_cell.dynamic_rnn(cell, x, lengths, engine=engine, swap_memory=True, **start)
    return outputs, state, rnn_cell.engine_used(outputs).name


def numbers(name, loop, engine, lengths, x, starts_from_zeros, session):
    """Outputs, final states, their first derivatives and, under control flow v2, second ones; and the engine."""
    cell, x = CELLS[name][0](), tf.constant(x)
    start = {"dtype": x.dtype}
    if not starts_from_zeros:
        sizes = tf.nest.flatten(cell.state_size)
        parts = [tf.constant(random([4, size], k, np.float64)) for k, size in enumerate(sizes)]
        start = {"initial_state": tf.nest.pack_sequence_as(cell.state_size, parts)}
    outputs, state, used = loop(cell, x, lengths, engine, **start)
    results, sources = [outputs] + tf.nest.flatten(state), [x] + cell.trainable_weights
    sources += tf.nest.flatten(start.get("initial_state", []))

    def weighted_sums(tensors, seed):
        return [tf.reduce_sum(tensor * random(tensor.shape.as_list(), seed, np.float64)) for tensor in tensors]

    first = tf.gradients(weighted_sums(results, 7), sources)
    second = tf.gradients(weighted_sums(first, 9), sources) if tf.control_flow_v2_enabled() else []
    names = [variable.op.name for variable in tf.global_variables()]
    session.run(tf.global_variables_initializer())
    arrays = [0.5 * random(variable.shape.as_list(), k, np.float64) for k, variable in enumerate(cell.weights)]
    set_variables(session, cell.weights, arrays)
    return session.run(results + first + second), names, used


def compare(name, engine, lengths, starts_from_zeros=False, loop=dynamic_rnn):
    expected_x, actual_x = X.copy(), X.copy()
    if lengths:
        actual_x[1, 2:], actual_x[2] = np.nan, np.nan
    results = []
    for kind, x in (("stepwise", expected_x), (engine, actual_x)):
        with tf.Graph().as_default(), plain_session() as session:
            tf.set_random_seed(5)
            results.append(numbers(name, loop, kind, lengths, x, starts_from_zeros, session))
    (expected, expected_names, _), (actual, names, used) = results
    assert names == expected_names and len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert a.shape == b.shape and numeric.relative_difference(a, b) < 1e-12
    if lengths:
        assert not np.any(actual[0][1, 2:]) and not np.any(actual[0][2]) and np.any(actual[0][1, :2])
    return used


# Each wrapper, and each kind of state.
OF_OLDEST = ["packed stacks in a stack", "variable of one", "variational, fed", "variational states of a stack"]
OF_OLDEST += ["residual function of nmt", "device, residual, variational", "residual block cell with a clip"]
OF_OLDEST += ["variational states of normalized cells", "variational states of coupled cells"]
OF_OLDEST += ["highways in a stack", "projections in a stack", "projections around wrappers"]


@pytest.mark.parametrize(
    "name, lengths",
    some(
        [(name, LENGTHS) for name in CELLS] + [(name, None) for name in CELLS if "variational states" in name],
        [(name, lengths) for lengths in (LENGTHS, None) for name in CELLS],
        oldest=[(name, LENGTHS) for name in OF_OLDEST],
    ),
)
def test_numbers_and_first_derivatives(name, lengths):
    used = compare(name, None, lengths)
    if "states" in name:  # An initial state of zeros takes another path.
        assert compare(name, None, lengths, starts_from_zeros=True) == used
    expected = CELLS[name][1]
    assert used == (expected if auto_engine() == "native" else "graph")


@pytest.mark.parametrize(
    "name, lengths",
    some(
        [("no dropout", LENGTHS), ("variational, fed", None), ("residual projection", LENGTHS)]
        + [("variational states of coupled cells", LENGTHS), ("highways in a stack", LENGTHS)]
        + [("projections in a stack", None)],
        [(name, lengths) for lengths in (LENGTHS, None) for name in CELLS],
        oldest=[("no dropout", LENGTHS), ("variational, fed", None), ("residual projection", LENGTHS)],
    ),
)
def test_static_rnn(name, lengths):
    used = compare(name, None, lengths, loop=static_rnn)
    assert used == (CELLS[name][1] if auto_engine() == "native" else "graph")


@pytest.mark.parametrize(
    "name, engine, lengths",
    some(
        [("packed stack", "graph", LENGTHS), ("variational projection", "graph", None)]
        + [("variational states of coupled cells", "graph", LENGTHS), ("variational, fed", "native", None)]
        + [("residual around variational", "native", LENGTHS), ("variational states", "native", LENGTHS)]
        + [("highway, residual, variational", "native", LENGTHS)]
        + [("projections around wrappers", "graph", LENGTHS)],
        [
            (name, engine, lengths)
            for name in CELLS
            for engine in ("graph", "native")
            if engine in ("graph", CELLS[name][1])
            for lengths in (LENGTHS, None)
        ],
        oldest=[("residual around variational", "native", LENGTHS)],
    ),
)
def test_second_derivatives(name, engine, lengths):
    if engine == "native" != auto_engine():
        pytest.skip("no native engine here")
    tf.enable_control_flow_v2()
    try:
        compare(name, engine, lengths)
    finally:
        tf.disable_control_flow_v2()


@NEEDS_NATIVE
def test_a_gpu_that_is_not_there(graph, place):
    """A layer's device is its own. `/gpu:0` counts as the CPU, where soft placement runs it, if there is no GPU."""
    if place != "cpu":
        pytest.skip("there is a GPU")
    cell = STACK([DEVICE(LSTM(4), "/gpu:0"), DEVICE(dropout(LSTM(5), 1.0, 0.5), "/gpu:1"), LSTM(2)])
    outputs, _ = rnn_cell.dynamic_rnn(cell, tf.ones([2, 3, 4]), dtype=tf.float32)
    ops = [op for op in graph.get_operations() if op.type == "StackedLstmForward"]
    assert [op.device for op in ops] == ["/device:GPU:0", "/device:GPU:1", ""]
    assert rnn_cell.engine_used(outputs).name == "native"
    gradients = tf.gradients(outputs, cell.trainable_weights)
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        session.run(tf.global_variables_initializer())
        assert all(np.any(gradient) for gradient in session.run(gradients))


# Functions of x [B, 3] and h [B, 3] that engines must not call on the rows of all steps.
def with_variable(x, h):
    return x + h * tf.get_variable("scale", [3], x.dtype, tf.ones_initializer())


MIXED_ROWS = {
    "mean over the batch": (lambda x, h: h - tf.reduce_mean(x, axis=0), "has the op Mean"),
    "reversed batch": (lambda x, h: h + x[::-1], "has the op StridedSlice"),
    "first row": (lambda x, h: h + x[0], "has the op StridedSlice"),
    "halves of the batch": (lambda x, h: h + tf.split(x, [1, -1], axis=0)[0], "has the op SplitV"),
    "number per row": (lambda x, h: h + np.arange(4.0)[:, None], "does not return one tensor"),
    "one row": (lambda x, h: h + np.ones([1, 3]), "has the op Const"),
    "size of the batch": (lambda x, h: h / tf.cast(tf.shape(x)[0], x.dtype), "has the op Shape"),
    "random": (lambda x, h: h + 0 * tf.random_uniform([3], dtype=x.dtype), "has the op RandomUniform"),
    "variable": (with_variable, "has the op (VarHandleOp|VariableV2|Fill)"),
    "two tensors": (lambda x, h: (x + h, h), "does not return one tensor"),
}


@pytest.mark.parametrize("name", MIXED_ROWS)
def test_functions_that_mix_rows(name):
    """The call is for TensorFlow's loop, whatever that does with the function."""
    function, words = MIXED_ROWS[name]
    problem = RESIDUAL(LSTM(3), function).problem_on_engines(3, tf.float64)
    assert re.search(f"a residual_fn that {words}", problem)


def test_functions_that_cannot_be_examined():
    """A tensor from outside belongs to another graph."""
    scale, x = tf.constant(2.0, tf.float64), tf.constant(X)
    outputs, _ = rnn_cell.dynamic_rnn(RESIDUAL(LSTM(3), lambda x, h: x + scale * h), x, dtype=x.dtype)
    assert "a residual_fn that cannot be examined" in rnn_cell.engine_used(outputs).reason
