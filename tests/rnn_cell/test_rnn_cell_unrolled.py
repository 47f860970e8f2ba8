"""The unrolled loops and stacks of two directions: numbers of TensorFlow 1.15, engines, errors, and the graph's size.

tests/golden/loops.py is the table of networks; tests/golden/generate.py had TensorFlow 1.15.5 compute them.
"""

import numpy as np
import pytest

from golden import loops
from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import auto_engine
from support.networks.golden_networks import check_numbers
from support.networks.some_cells import UserCell, random
from support.suite.sets import ONCE

# Cases that run step by step: cells of users, dropout, and a decoder that reads its own outputs.
STEPWISE = {"static_user_cell", "static_dropout", "static_both_user_cell", "decoder_user_cell", "decoder_loop"}


def check(name, session, engine):
    """Compares a case's numbers; returns the engine."""
    used = []

    def with_engine(function):
        def call(*args, **options):
            results = function(*args, engine=engine, **options)
            used.append(rnn_cell.engine_used(results[0]).name)
            return results

        return call

    functions = {function: with_engine(getattr(rnn_cell, function)) for function in loops.FUNCTIONS}
    check_numbers(name, loops.build(name, rnn_cell, functions), "loops", session)
    return used[0]


@pytest.mark.parametrize("name", sorted(set(loops.CASES) - {"static_dropout"}))
def test_on_engines(name, plain_session):
    expected = "stepwise" if name in STEPWISE else auto_engine()
    assert check(name, plain_session, None) == expected


@ONCE
@pytest.mark.parametrize("name", sorted(set(loops.CASES) - STEPWISE))
def test_graph(name, plain_session):
    assert check(name, plain_session, "graph") == "graph"


@pytest.mark.parametrize("name", sorted(set(loops.CASES) - STEPWISE | {"static_dropout"}))
def test_stepwise(name, plain_session):
    assert check(name, plain_session, "stepwise") == "stepwise"


def steps(count=3, shape=(2, 3), dtype=np.float32):
    return [tf.constant(random(shape, seed, dtype)) for seed in range(count)]


def lstm():
    return rnn_cell.LSTMCell(4)


def zeros():
    return rnn_cell.LSTMStateTuple(tf.zeros([2, 4]), tf.zeros([2, 4]))


# Loop -> function (cell, steps, **options) that calls it.
LOOPS = {
    "static_rnn": lambda cell, steps, **options: rnn_cell.static_rnn(cell, steps, dtype=tf.float32, **options),
    "static_bidirectional_rnn": lambda cell, steps, **options: rnn_cell.static_bidirectional_rnn(
        cell, lstm(), steps, dtype=tf.float32, **options
    ),
    "stack_bidirectional_rnn": lambda cell, steps, **options: rnn_cell.stack_bidirectional_rnn(
        [cell], [lstm()], steps, dtype=tf.float32, **options
    ),
    "rnn_decoder": lambda cell, steps, **options: rnn_cell.rnn_decoder(steps, zeros(), cell, **options),
}


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_each_step_adds_one_op(name, graph):
    def size(count):
        with tf.Graph().as_default() as fresh:
            outputs = LOOPS[name](lstm(), tf.unstack(tf.zeros([count, 2, 3])), engine="graph")[0]
            assert len(outputs) == count and rnn_cell.engine_used(outputs[-1]).name == "graph"
            return len(fresh.get_operations())

    assert size(100) == size(3) + 97


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_list_or_a_tuple_of_unknown_batch(name, session):
    """Entries of the list may know more of the batch than others."""
    x = random([3, 2, 3])
    known = tf.unstack(tf.constant(x))
    unknown = [tf.placeholder_with_default(step, [None, 3]) for step in x[:2]] + known[2:]
    cell = lstm()
    first = LOOPS[name](cell, known)[0]
    second = LOOPS[name](cell, tuple(unknown), scope="second")[0]
    assert isinstance(first, list) and isinstance(second, list)
    session.run(tf.global_variables_initializer())
    if name != "rnn_decoder":  # The cells of the other directions differ.
        first, second = [[step[:, :4] for step in outputs] for outputs in (first, second)]
    np.testing.assert_array_equal(*session.run([first, second]))


@pytest.mark.parametrize("name", sorted(set(LOOPS) - {"rnn_decoder"}))  # It has no lengths.
def test_messages_from_engines_name_the_loop(name):
    with pytest.raises(ValueError, match=rf"^{name}: expected `sequence_length` of shape \(2,\), got \(3,\)"):
        LOOPS[name](lstm(), steps(), sequence_length=[1, 2, 3], engine="graph")


@pytest.mark.parametrize(
    "inputs, reason",
    [
        (lambda: [(step, step) for step in steps()], "the inputs are a nest of tensors"),
        (lambda: steps(2) + [tf.zeros([2, 3], tf.float64)], "the inputs are a nest of tensors"),
        (lambda: steps(2) + [tf.zeros([2, 4])], "the inputs are a nest of tensors"),
        (lambda: [np.zeros([2, 3], np.float32)], "the inputs are a nest of tensors"),
        (lambda: [tf.placeholder(tf.float32, [2, None])], r"the inputs have the shape \(1, 2, (None|\?)\)"),
        (lambda: [tf.placeholder(tf.float32)], "the inputs have the shape <unknown>"),
        (lambda: [tf.constant([1, 2])], r"the inputs have the shape \(1, 2\)"),
    ],
)
@pytest.mark.parametrize("name", sorted(LOOPS))
def test_inputs_that_no_engine_runs(name, inputs, reason):
    with pytest.raises(ValueError, match=f"{name}: the engine .graph. .asked for by name. cannot run this call: "
                       f"{reason}"):  # fmt: skip
        LOOPS[name](lstm(), inputs(), engine="graph")


class Sum(rnn_cell.RNNCell):
    """Takes pairs, and gives pairs."""

    state_size = output_size = property(lambda self: (3, 3))

    def call(self, inputs, state):
        result = tuple(a + b for a, b in zip(inputs, state))
        return result, result


@pytest.mark.parametrize("lengths", [None, [3, 2]])
def test_nests_of_inputs(lengths, session):
    pairs = list(zip(steps(3), steps(3)))
    outputs, state = rnn_cell.static_rnn(Sum(), pairs, dtype=tf.float32, sequence_length=lengths)
    assert rnn_cell.engine_used(outputs).reason == "TensorFlow's own loop, because no engine runs the class Sum"
    x = np.stack([random((2, 3), seed) for seed in range(3)])
    sums = np.cumsum(x, axis=0)
    final = sums[[2, 2] if lengths is None else [2, 1], [0, 1]]
    np.testing.assert_allclose(session.run(state), [final] * 2, rtol=1e-6)
    np.testing.assert_allclose(session.run(outputs[1]), [sums[1]] * 2, rtol=1e-6)
    both, _, _ = rnn_cell.static_bidirectional_rnn(Sum(), Sum(), pairs, dtype=tf.float32, sequence_length=lengths)
    assert [part.shape.as_list() for part in both[0]] == [[2, 6], [2, 6]]


def test_stepwise_is_tensorflows_function_op_for_op():
    """Nothing is added, so the graph's seed gives TensorFlow's dropout masks."""

    def ops(static_rnn, **options):
        with tf.Graph().as_default() as fresh:
            cell = rnn_cell.DropoutWrapper(UserCell(), output_keep_prob=0.5)
            static_rnn(cell, steps(), dtype=tf.float32, sequence_length=[1, 3], **options)
            return [op.name for op in fresh.get_operations()]

    assert ops(rnn_cell.static_rnn) == ops(tf.nn.static_rnn)
    assert ops(rnn_cell.static_rnn, engine="stepwise") == ops(tf.nn.static_rnn)


def test_lengths_beyond_the_steps_and_padding(session):
    """As in TensorFlow's function; what is past the end is not read."""
    cell, inputs = lstm(), steps()
    inputs[2] = tf.constant([[1.0, 2.0, 3.0], [np.nan] * 3])
    results = [
        rnn_cell.static_rnn(cell, inputs, dtype=tf.float32, sequence_length=[9, 1], scope=engine, engine=engine)
        for engine in ("graph", "stepwise")
    ]
    session.run(tf.global_variables_initializer())
    actual, expected = [tf.nest.flatten(result) for result in session.run(results)]
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert np.all(actual[2][0]) and not np.any(actual[2][1])


def test_engine_used_tells_the_last_engine():
    """Of two directions or of several layers. Coupled gates with layer normalization run on the graph engine."""
    normalized = rnn_cell.CoupledInputForgetGateLSTMCell(4, layer_norm=True)
    outputs, _, _ = rnn_cell.static_bidirectional_rnn(normalized, lstm(), steps(), dtype=tf.float32)
    assert rnn_cell.engine_used(outputs).name == "graph"
    residual = rnn_cell.ResidualWrapper(rnn_cell.CoupledInputForgetGateLSTMCell(4, layer_norm=True))
    stack = rnn_cell.MultiRNNCell([lstm(), residual])
    outputs, _, _ = rnn_cell.static_bidirectional_rnn(stack, lstm(), steps(), dtype=tf.float32, scope="stack")
    assert rnn_cell.engine_used(outputs).name == (auto_engine() + " and graph").replace("graph and ", "")
    options = {"cells_bw": [lstm(), lstm()], "dtype": tf.float32}
    reason = ("stepwise", "TensorFlow's own loop, because no engine runs the class UserCell")
    outputs, _, _ = rnn_cell.stack_bidirectional_rnn([UserCell(), lstm()], inputs=steps(), **options)
    assert rnn_cell.engine_used(outputs) == reason
    options = {"cells_bw": [lstm(), lstm()], "dtype": tf.float32, "scope": "dynamic"}
    outputs, _, _ = rnn_cell.stack_bidirectional_dynamic_rnn([UserCell(), lstm()], inputs=tf.stack(steps()), **options)
    assert rnn_cell.engine_used(outputs) == reason


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: rnn_cell.static_rnn("cell", steps(), dtype=tf.float32), TypeError, "not an RNNCell"),
        (lambda: rnn_cell.static_rnn(lstm(), tf.zeros([3, 2, 3]), dtype=tf.float32), TypeError, "must be a sequence"),
        (lambda: rnn_cell.static_rnn(lstm(), None, dtype=tf.float32), TypeError, "inputs must be a sequence"),
        (lambda: rnn_cell.static_rnn(lstm(), [], dtype=tf.float32), ValueError, "inputs must not be empty"),
        (lambda: rnn_cell.static_rnn(lstm(), steps()), ValueError, "If no initial_state is provided, dtype must be"),
        (
            lambda: rnn_cell.static_rnn(lstm(), steps(), dtype=tf.float32, sequence_length=3),
            ValueError,
            "sequence_length must be a vector of length batch_size",
        ),
        (
            lambda: rnn_cell.static_rnn(lstm(), [tf.placeholder(tf.float32, [2, None])], dtype=tf.float32),
            ValueError,
            r"Input size \(dimension 0 of input.*\) must be accessible via shape inference, but saw value None",
        ),
        (
            lambda: rnn_cell.static_rnn(lstm(), steps(), dtype=tf.float32, engine="fast"),
            ValueError,
            "static_rnn: expected `engine`",
        ),
        (
            lambda: rnn_cell.static_bidirectional_rnn(lstm(), lstm(), [], dtype=tf.float32),
            ValueError,
            "inputs must not be empty",
        ),
        (
            lambda: rnn_cell.static_bidirectional_rnn(lstm(), lstm(), steps(), initial_state_fw=zeros()),
            ValueError,
            "If no initial_state is provided, dtype must be specified",
        ),
        (
            lambda: rnn_cell.stack_bidirectional_rnn([], [lstm()], steps()),
            ValueError,
            "Must specify at least one fw cell for BidirectionalRNN.",
        ),
        (
            lambda: rnn_cell.stack_bidirectional_dynamic_rnn([lstm()], [], steps()),
            ValueError,
            "Must specify at least one bw cell for BidirectionalRNN.",
        ),
        (
            lambda: rnn_cell.stack_bidirectional_rnn((lstm(),), [lstm()], steps()),
            ValueError,
            r"cells_fw must be a list of RNNCells \(one per layer\).",
        ),
        (
            lambda: rnn_cell.stack_bidirectional_dynamic_rnn([lstm()], [lstm(), lstm()], steps()),
            ValueError,
            "Forward and Backward cells must have the same depth.",
        ),
        (
            lambda: rnn_cell.stack_bidirectional_rnn([lstm()], [lstm()], steps(), initial_states_bw=zeros()),
            ValueError,
            r"initial_states_bw must be a list of state tensors \(one per layer\).",
        ),
        (lambda: rnn_cell.rnn_decoder(steps(), None, lstm()), ValueError, "rnn_decoder: expected an `initial_state`"),
        (
            lambda: rnn_cell.rnn_decoder(tf.zeros([2, 3, 4]), zeros(), lstm()),
            ValueError,
            r"rnn_decoder: expected `decoder_inputs` to be a list .*, got a tensor .* shape \(2, 3, 4\)",
        ),
        (
            lambda: rnn_cell.rnn_decoder(steps(), zeros(), lstm(), lambda output, step: output, engine="graph"),
            ValueError,
            "rnn_decoder: expected no `loop_function` for engine 'graph', got <function",
        ),
    ],
)
def test_errors(call, error, message):
    """The messages are TensorFlow 1.15's, except those about `engine`."""
    with pytest.raises(error, match=message):
        call()


def test_decoder_of_nothing():
    state = zeros()
    assert rnn_cell.rnn_decoder([], state, lstm()) == ([], state)


def test_loop_function_is_called_in_a_scope_that_reuses(session):
    calls = []

    def loop_function(output, step):
        scope = tf.get_variable_scope()
        calls.append((scope.name, bool(scope.reuse), step))
        return output[:, :3]

    cell, inputs = lstm(), steps(4)
    outputs, _ = rnn_cell.rnn_decoder(inputs, zeros(), cell, loop_function)
    assert calls == [("rnn_decoder/loop_function", True, step) for step in (1, 2, 3)]
    second, _ = cell(outputs[0][:, :3], cell(inputs[0], zeros())[1])
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run([outputs[1], second]))


def test_loops_that_share_variables():
    """As in programs that build the model for training and for sampling."""
    for reuse in (None, True):
        with tf.variable_scope("model", reuse=reuse):
            rnn_cell.rnn_decoder(steps(), zeros(), lstm(), None if reuse is None else lambda output, _: output[:, :3])
            rnn_cell.static_rnn(lstm(), steps(), dtype=tf.float32)
    names = [variable.op.name for variable in tf.global_variables()]
    assert names == [
        f"model/{scope}/lstm_cell/{name}" for scope in ("rnn_decoder", "rnn") for name in ("kernel", "bias")
    ]
    with pytest.raises(ValueError, match="already exists"), tf.variable_scope("model"):
        rnn_cell.static_rnn(lstm(), steps(), dtype=tf.float32)


def test_reasons_of_loop_functions():
    """Inputs after the first one may be None: they are not read, so the function is the reason."""
    inputs = [steps()[0], None, None]
    outputs, _ = rnn_cell.rnn_decoder(inputs, zeros(), lstm(), lambda output, step: output[:, :3])
    assert rnn_cell.engine_used(outputs).reason == "step by step, because there is a loop_function"
    with pytest.raises(ValueError, match="rnn_decoder: expected no `loop_function` for engine 'graph', got <function"):
        rnn_cell.rnn_decoder(inputs, zeros(), lstm(), lambda output, step: output, engine="graph")
    with tf.variable_scope("second"):
        outputs, _ = rnn_cell.rnn_decoder(
            inputs, zeros(), lstm(), lambda output, step: output[:, :3], engine="stepwise"
        )
    assert rnn_cell.engine_used(outputs).name == "stepwise"
