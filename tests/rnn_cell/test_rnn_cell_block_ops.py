"""Calls of block cells: TensorFlow's op of a step, and its derivatives, beside the plain equations in float64."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import random
from support.references import numeric
from support.suite.sessions import plain_session
from support.suite.versions import OLD

# name -> (function that makes a cell, function that makes a cell with the same equations in other ops).
PAIRS = {
    "lstm": (lambda: rnn_cell.LSTMBlockCell(5, 0.3), lambda: rnn_cell.LSTMCell(5, forget_bias=0.3)),
    "peepholes": (lambda: rnn_cell.LSTMBlockCell(5, use_peephole=True), lambda: rnn_cell.LSTMCell(5, True)),
    "no forget bias": (lambda: rnn_cell.CudnnCompatibleLSTMCell(5), lambda: rnn_cell.LSTMCell(5, forget_bias=0.0)),
    # The gradient of LSTMCell's clip is another one. In float64 the block cell has no op.
    "clip": 2 * (lambda: rnn_cell.LSTMBlockCell(5, cell_clip=0.2, use_peephole=True),),
    "gru": (lambda: rnn_cell.GRUBlockCellV2(5), lambda: rnn_cell.GRUCell(5)),
    "gru with old names": (lambda: rnn_cell.GRUBlockCell(5), lambda: rnn_cell.GRUCell(5)),
}


def calls(cell, x, state, count):
    for _ in range(count):
        _, state = cell(x, state)
    return state


def loop(cell, x, state, count):
    def body(k, state):
        return k + 1, cell(x, state)[1]

    return tf.while_loop(lambda k, _: k < count, body, (0, state))[1]


def loop_in_loop(cell, x, state, count):
    del count
    return tf.while_loop(lambda k, _: k < 2, lambda k, state: (k + 1, loop(cell, x, state, 2)), (0, state))[1]


def branch(cell, x, state, count):
    del count
    return tf.cond(tf.placeholder_with_default(True, []), lambda: cell(x, state)[1], lambda: state)


# way -> (function, number of calls, whether TensorFlow has second derivatives of it).
WAYS = {
    "calls": (calls, 2, True),
    "loop": (loop, 3, False),
    "nested": (loop_in_loop, 4, False),
    "cond": (branch, 1, True),
}


def numbers(make, run, count, dtype, has_second):
    """The final state, and its first and second derivatives; and the types of the ops in the graph."""
    with tf.Graph().as_default() as graph, plain_session() as session:
        cell, x = make(), tf.constant(random([3, 4]), dtype)
        widths = tf.nest.flatten(cell.state_size)
        start = [tf.constant(random([3, width], 2 + k), dtype) for k, width in enumerate(widths)]
        results = tf.nest.flatten(run(cell, x, tf.nest.pack_sequence_as(cell.state_size, start), count))
        variables = cell.trainable_weights
        if len(variables) != 4:  # The order of LSTMCell's peepholes is another one.
            variables = sorted(variables, key=lambda variable: variable.op.name)
        sources = [x, *start, *variables]
        first = tf.gradients(tf.add_n([tf.reduce_sum(tf.sin(result)) for result in results]), sources)
        results += first
        if has_second:
            results += tf.gradients(tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in first]), sources)
        values = {v.initializer.inputs[1]: random(v.shape.as_list(), 9 + k) / 2 for k, v in enumerate(variables)}
        session.run([variable.initializer for variable in variables], values)
        return dict(enumerate(session.run(results))), {op.type for op in graph.get_operations()}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("name", sorted(PAIRS))
def test_derivatives(name, way):
    run, count, has_second = WAYS[way]
    actual, types = numbers(PAIRS[name][0], run, count, tf.float32, has_second)
    expected, other_types = numbers(PAIRS[name][1], calls, count, tf.float64, has_second)
    numeric.check_same(actual, expected, 1e-5)
    assert (
        "Sigmoid" not in types
        and types & {"LSTMBlockCell", "GRUBlockCell"}
        and not other_types & {"LSTMBlockCell", "GRUBlockCell"}
    )


def in_function(cell, x, state):
    return tf.function(lambda x, state: cell(x, state)[1])(x, state)


def in_xla(cell, x, state):
    return tf.xla.experimental.compile(lambda x, state: cell(x, state)[1], [x, state])


def on_tape(cell, x, state):
    with tf.GradientTape() as tape:
        tape.watch(x)
        new = cell(x, state)[1]
    assert tape.gradient(new, x) is not None
    return new


OTHER_PLACES = [in_function, on_tape]
if not OLD:  # TensorFlow 1.15 is built without XLA.
    OTHER_PLACES.append(in_xla)


@pytest.mark.parametrize("run", OTHER_PLACES)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_other_ops_where_the_op_cannot_run(name, run, plain_session):
    cell = PAIRS[name][0]()
    x, state = tf.constant(random([3, 4]), tf.float32), cell.zero_state(3, tf.float32)
    expected = cell(x, state)[1]
    count = sum("BlockCell" in op.type for op in tf.get_default_graph().get_operations())
    actual = run(cell, x, state)
    plain_session.run(tf.global_variables_initializer())
    assert sum("BlockCell" in op.type for op in tf.get_default_graph().get_operations()) == count == 1
    actual, expected = (plain_session.run(tf.nest.flatten(results)) for results in (actual, expected))
    numeric.check_same(dict(enumerate(actual)), dict(enumerate(expected)), 1e-5)


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("name", sorted(PAIRS))
def test_batches_of_unknown_size(name, batch, plain_session):
    """TensorFlow 2's op of the LSTM refuses a batch without sequences."""
    cell, x = PAIRS[name][0](), tf.placeholder(tf.float32, [None, 4])
    state = cell.zero_state(tf.shape(x)[0], tf.float32)
    fetches = [cell(x, state)[0], *tf.gradients(cell(x, state)[0], [x, *cell.trainable_weights])]
    plain_session.run(tf.global_variables_initializer())
    output, d_x, *d_weights = plain_session.run(fetches, {x: np.ones([batch, 4])})
    assert output.shape == (batch, 5) and d_x.shape == (batch, 4)
    assert batch or not any(map(np.any, d_weights))
