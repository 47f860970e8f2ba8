"""One op for both directions, or for the backward direction alone: which calls have it, and the numbers of two stacks.

test_bidirectional.py has the numbers of NumPy, and native_kernels.cc those of the kernels.
"""

import itertools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines import both_directions, graph
from stacked_lstm.engines.native import library, ops
from support.engines import native_ops
from support.references import numeric
from support.suite import sessions
from support.suite.sets import ONCE, some

pytestmark = native_ops.NEEDS_NATIVE


def types_before(tensors):
    """The types of the ops that tensors depend on."""
    seen, waiting = {}, [tensor.op for tensor in tf.nest.flatten(tensors)]
    while waiting:
        op = waiting.pop()
        if op.name not in seen:
            seen[op.name] = op.type
            waiting += [tensor.op for tensor in op.inputs]
    return list(seen.values())


# Name -> (arguments of the constructor, arguments of the call, number of ops for layers, whether they need reversals).
GRAPHS = {
    "layers": ({}, {}, 2, False),
    "stacks": ({"stacking": "stacks"}, {}, 1, False),
    "merge": ({"merge": "mul"}, {}, 2, False),
    "no merge": ({"merge": None}, {}, 2, False),
    "learned": ({"initial_state": "learned"}, {}, 2, False),
    "extras": ({"peepholes": True, "cell_clip": 1.0, "projection_size": 2, "projection_clip": 1.0}, {}, 2, False),
    "dropout between layers": ({"dropout": 0.5}, {"training": True}, 2, False),
    "residual": ({"residual": "after layer 1", "merge": "sum"}, {}, 2, False),
    "residual in stacks": ({"stacking": "stacks", "residual": "after layer 1"}, {}, 1, False),
    "inference": ({"recurrent_dropout": 0.5}, {"training": False}, 2, False),
    "projected": ({"initial_state": "projected"}, {}, 2, False),
    "dropout in stacks": ({"stacking": "stacks", "dropout": 0.5}, {"training": True}, 4, False),
    "dropout around stacks": (
        {"stacking": "stacks", "input_dropout": 0.5, "output_dropout": 0.5},
        {"training": True},
        4,
        False,
    ),
    "dropout and residual in stacks": (
        {"stacking": "stacks", "dropout": 0.5, "residual": "after layer 1"},
        {"training": True},
        4,
        False,
    ),
    "stacks of different layers": ({"stacking": "stacks", "projection_size": [2, None]}, {}, 4, False),
    "recurrent dropout": ({"recurrent_dropout": 0.5}, {"training": True}, 2, False),
    "candidate": ({"recurrent_dropout": 0.5, "recurrent_dropout_kind": "candidate"}, {"training": True}, 2, False),
    "zoneout": ({"zoneout_c": 0.5}, {}, 2, False),
    "zoneout in stacks": ({"stacking": "stacks", "zoneout_h": 0.5}, {"training": True}, 1, False),
    "layer normalization": ({"layer_norm": True}, {}, 2, False),
    "layer normalization in stacks": ({"stacking": "stacks", "layer_norm": "tensorflow"}, {}, 1, False),
    "kinds of layer normalization": ({"stacking": "stacks", "layer_norm": ["tensorflow", True]}, {}, 4, False),
    "layer normalization and residual in stacks": (
        {"stacking": "stacks", "layer_norm": True, "residual": "after layer 1", "zoneout_h": 0.5},
        {"training": True},
        1,
        False,
    ),
    "return_steps": ({}, {"return_steps": True}, 4, False),
    "steps of noise": ({"stacking": "stacks", "zoneout_c": 0.5}, {"training": True, "return_steps": True}, 4, False),
    "reset": ({}, {"reset": tf.zeros}, 2, False),
    "reset to projected": ({"stacking": "stacks", "initial_state": "projected"}, {"reset": tf.zeros}, 1, False),
    "graph": ({"engine": "graph"}, {}, 0, True),
}
REVERSALS = {"ReverseSequence", "Reverse", "ReverseV2"}


QUICK_GRAPHS = [(name, k % 2 == 0) for k, name in enumerate(GRAPHS)]


@pytest.mark.parametrize(
    "name, has_lengths",
    some(QUICK_GRAPHS, list(itertools.product(GRAPHS, [False, True])), oldest=QUICK_GRAPHS[::3]),
)
def test_when_there_is_one_op(name, has_lengths):
    """What the results and all gradients need. The loop of `return_steps` has no op of a layer."""
    arguments, call, count, needs_reversals = GRAPHS[name]
    with tf.Graph().as_default():
        x, lengths = tf.placeholder(tf.float32, [None, 5, 3]), tf.placeholder(tf.int32, [None])
        if "reset" in call:
            call = {"reset": tf.placeholder(tf.bool, [None, 5])}
        lstm = BidirectionalLSTM([4, 4], **{"engine": "native", **arguments})
        outputs, *others = lstm(x, lengths if has_lengths else None, **call)
        gradients = tf.gradients(tf.nest.flatten([outputs, *others]), [x, *lstm.variables])
        assert None not in gradients
        types = types_before([outputs, *others, gradients])
    assert types.count("StackedLstmForward") == count
    assert bool(REVERSALS.intersection(types)) == needs_reversals


def dropped_stack(size, *keep_probs, **options):
    """Two layers in wrappers. The upper one has a residual connection if the widths are equal."""
    cells = [rnn_cell.LSTMCell(size), rnn_cell.LSTMCell(2)]
    cells[1:] = [rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(size)), cells[1]]
    return rnn_cell.MultiRNNCell([rnn_cell.DropoutWrapper(cell, *keep_probs, **options) for cell in cells])


# Name -> (function from a size to a cell, number of ops for layers, whether they need reversals).
CELLS = {
    "cells": (rnn_cell.LSTMCell, 1, False),
    "stacks": (lambda size: rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(size), rnn_cell.BasicLSTMCell(2)]), 1, False),
    "layer normalization": (rnn_cell.LayerNormBasicLSTMCell, 1, False),
    "wrappers": (lambda size: rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(size), 0.5), 2, False),
    "dropout in stacks": (lambda size: dropped_stack(size, 0.5, 0.5), 6, False),
    "dropout on states": (lambda size: dropped_stack(size, 1.0, 1.0, 0.5), 2, False),
    "variational": (
        lambda size: dropped_stack(size, 1.0, 1.0, 0.5, variational_recurrent=True, dtype=tf.float32),
        2,
        False,
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_when_there_is_one_op_for_cells(name):
    make, count, needs_reversals = CELLS[name]
    with tf.Graph().as_default():
        x, lengths = tf.placeholder(tf.float32, [None, 5, 3]), tf.placeholder(tf.int32, [None])
        outputs, states = rnn_cell.bidirectional_dynamic_rnn(
            make(4), make(6), x, lengths, dtype=tf.float32, engine="native"
        )
        types = types_before([outputs, states, tf.gradients(outputs, tf.trainable_variables())])
        widths = [4, 6] if name in ("cells", "layer normalization", "wrappers") else [2, 2]
        assert [side.shape.as_list()[1:] for side in outputs] == [[5, width] for width in widths]
        assert [rnn_cell.engine_used(side).name for side in outputs] == ["native", "native"]
        assert outputs[1].op.name == "ReverseSequence"  # TensorFlow's name.
    assert types.count("StackedLstmForward") == count
    assert bool(REVERSALS.intersection(types)) == needs_reversals


# Name -> (arguments of the network, STACKED_LSTM_ENGINE, whether there are lengths, whether there are reversals).
FUSED = {
    "lengths": ({}, "auto", True, False),
    "all steps": ({"use_peephole": True, "forget_bias": 0.3}, "native", False, False),
    "clip": ({"cell_clip": 0.3}, "auto", True, True),
    "graph": ({}, "graph", True, True),
    "stepwise": ({}, "stepwise", False, True),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused_network_from_the_end(name, monkeypatch, plain_session):
    """The network in a function has reversed inputs and outputs."""
    arguments, engine, has_lengths, needs_reversals = FUSED[name]
    monkeypatch.setenv("STACKED_LSTM_ENGINE", engine)
    random = np.random.RandomState(0)
    x, start = random.standard_normal([5, 3, 2]), [tf.constant(random.standard_normal([3, 4])) for _ in "ch"]
    if has_lengths:
        x[2:, 1] = x[:, 2] = np.nan
    x = tf.constant(x)
    lstm = rnn_cell.LSTMBlockFusedCell(4, **arguments)
    results, names, uses = [], [], []
    for network in (lstm, lambda *args, **kwargs: lstm(*args, **kwargs)):
        backward = rnn_cell.TimeReversedFusedRNN(network)
        outputs, state = backward(x, start, sequence_length=[5, 2, 0] if has_lengths else None)
        if not results:
            assert ("Reverse" in "".join(types_before([outputs, state]))) == needs_reversals
        loss = tf.reduce_sum(tf.sin(outputs)) + tf.reduce_sum(state.c * state.h)
        results.append([outputs, *state, *tf.gradients(loss, [x, *start, *lstm.variables])])
        names.append(outputs.op.name)
        uses.append(rnn_cell.engine_used(outputs))
    kind = "ReverseSequence" if has_lengths else "ReverseV2"
    assert names == [f"{kind}_1", f"{kind}_3"]
    assert uses[0] == uses[1]
    plain_session.run(tf.global_variables_initializer())
    for actual, expected in zip(*plain_session.run(results)):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def build_stacks(sizes, from_end_sizes, width, options):
    """Layers of two stacks, with random weights and states; and the tensors that have gradients."""
    layers, states, variables = [], [], []
    for name, stack_sizes in (("forward", sizes), ("backward", from_end_sizes)):
        if stack_sizes:
            stack = StackedLSTM(
                stack_sizes, weight_initializer="xavier", bias_initializer="tn", dtype=tf.float64, name=name, **options
            )
            stack.build(width)
            layers += [layer.layer() for layer in stack.layers]
            variables += stack.variables
    random = np.random.RandomState(1)
    for layer in layers:
        shapes = ([4, layer.hidden_size], [4, layer.output_size])
        states.append(tuple(tf.constant(random.standard_normal(shape)) for shape in shapes))
    return layers, states, variables


FEW = 3  # Steps. TensorFlow takes seconds to build second derivatives.
# Sizes of both stacks, the number of steps, options of their layers.
STACKS = [
    ([5], [4], FEW, {}),
    pytest.param([5, 3], [7, 9], 6, {"peepholes": True, "cell_clip": 0.5}, marks=ONCE),
    pytest.param([], [20, 17], 60, {"projection_size": 3, "projection_clip": 0.4}, marks=ONCE),
    pytest.param([33], [33], 40, {}, marks=ONCE),
    pytest.param([2], [3], 1, {}, marks=ONCE),
    pytest.param([9], [8], FEW, {"layer_norm": "tensorflow"}, marks=ONCE),
    pytest.param([9, 18], [7, 17], 6, {"layer_norm": True, "peepholes": True, "cell_clip": 0.5}, marks=ONCE),
    pytest.param([20, 17], [18], 60, {"layer_norm": True, "projection_size": 3, "projection_clip": 0.4}, marks=ONCE),
    pytest.param([33], [33], 40, {"layer_norm": "tensorflow"}, marks=ONCE),
    ([2], [3], 0, {}),
]


@pytest.mark.parametrize("has_lengths", [False, True], ids=["all steps", "lengths"])
@pytest.mark.parametrize("sizes, from_end_sizes, steps, options", STACKS)
def test_numbers_and_first_and_second_derivatives(sizes, from_end_sizes, steps, options, has_lengths, plain_session):
    layers, states, variables = build_stacks(sizes, from_end_sizes, 3, options)
    random = np.random.RandomState(0)
    x = random.standard_normal([steps, 4, 3])
    lengths = [steps, 0, steps // 2, min(steps, 1)]
    for b, length in enumerate(lengths if has_lengths else []):
        x[length:, b] = np.nan
    x, lengths = tf.constant(x), tf.constant(lengths) if has_lengths else None
    sources = [x, *[part for state in states for part in state], *variables]

    def results(run):
        outputs, finals = run()
        targets = [outputs] + [part for final in finals for part in final]
        first = tf.gradients(sum(tf.reduce_sum(tf.sin(target)) for target in targets), sources)
        has_second = steps == FEW and (has_lengths or not options)
        second = tf.gradients([tf.square(d) for d in first], sources[1:]) if has_second else []
        return targets + first + second

    count = len(from_end_sizes)
    native = results(lambda: ops.forward(layers, states, x, lengths, count))
    reference = results(lambda: both_directions.run(graph.run, layers, x, states, lengths, count))
    plain_session.run(tf.global_variables_initializer())
    for variable in variables:
        if "gain" in variable.op.name or "shift" in variable.op.name:  # They start from ones and zeros.
            variable.load(0.5 + random.standard_normal(variable.shape.as_list()), plain_session)
    for actual, expected in zip(*plain_session.run([native, reference])):
        assert numeric.relative_difference(actual, expected) < 1e-11


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_same_bits_with_any_number_of_threads(layer_norm):
    """Two stacks that are enough work run in two threads."""
    values = []
    for threads in (1, 2, 5):
        with tf.Graph().as_default():
            x = tf.constant(np.random.RandomState(0).standard_normal([30, 7, 20]))
            layers, states, variables = build_stacks([60, 40], [60, 40], 20, {"layer_norm": layer_norm})
            states = [tuple(part[:1] * np.ones([7, 1]) for part in state) for state in states]
            outputs, _ = ops.forward(layers, states, x, None, 2)
            results = [outputs, *tf.gradients(outputs**2, [x, *variables])]
            random = np.random.RandomState(2)
            config = tf.ConfigProto(intra_op_parallelism_threads=threads, use_per_session_threads=True)
            with tf.Session(config=config) as session:
                arrays = [0.1 * random.standard_normal(variable.shape.as_list()) for variable in variables]
                sessions.set_variables(session, variables, arrays)
                values.append(session.run(results))
    for others in values[1:]:
        assert all(np.array_equal(*pair) for pair in zip(values[0], others))


def test_errors_of_the_op():
    """When the graph is built and, if a shape function does not see it, when it runs."""

    def build(from_end, **lists):
        lists = {**native_ops.NO_EXTRAS, **lists}
        x, state = tf.zeros([2, 3, 4]), [tf.zeros([3, 5])]
        return library.load().stacked_lstm_forward(
            x=x,
            c=state,
            h=state,
            lengths=[],
            kernels=[tf.zeros([9, 20])],
            biases=[],
            activation="tanh",
            recurrent_activation="sigmoid",
            from_end=from_end,
            **native_ops.pack([tf.zeros([9, 20])]),
            **lists,
        )

    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(ValueError, match="expected `from_end` to be at most 1, the number of layers, got 2"):
            build(2)
        outputs = build(1, zoneout_c=[tf.placeholder_with_default(tf.zeros([3, 4]), None)]).outputs
        with pytest.raises(tf.errors.InvalidArgumentError, match="expected `zoneout_c` of shape"):
            session.run(outputs)
