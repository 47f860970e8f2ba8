"""dynamic_rnn of the drop-in: which calls run on the engines, and why other calls do not."""

import inspect
import re

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.loops import dispatch
from support.engines.native_ops import NEEDS_NATIVE, auto_engine
from support.networks.some_cells import LAYERS, random


def two_layers():
    return rnn_cell.MultiRNNCell([LAYERS["basic"](), LAYERS["everything"]()])


def stack(**more):
    return rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(4, **more), rnn_cell.LSTMCell(3)])


def run(cell, x=None, engine=None, **options):
    x = tf.constant(random([2, 5, 3])) if x is None else x
    if "initial_state" not in options:
        options.setdefault("dtype", tf.float32)
    return rnn_cell.dynamic_rnn(cell, x, engine=engine, **options)


def used_by(cell, **options):
    return rnn_cell.engine_used(run(cell, **options)[0])


class Subclass(rnn_cell.BasicLSTMCell):
    """It overrides the step, so it does not run on an engine."""

    def call(self, inputs, state):
        return super().call(inputs, state)


class Wrapper(rnn_cell.ResidualWrapper):
    """So does this wrapper."""

    def __call__(self, inputs, state, scope=None):
        return super().__call__(inputs, state, scope)


def built_for_another_width():
    cell = rnn_cell.LSTMCell(3)
    cell.build([None, 2])
    return rnn_cell.MultiRNNCell([cell, rnn_cell.LSTMCell(4)])


def with_attribute(name):
    """A cell of a program that has replaced one of its attributes by an equal one."""
    cell = rnn_cell.LSTMCell(4)
    method = getattr(cell, name)
    setattr(cell, name, lambda *arguments: method(*arguments))
    return cell


def pair(h_width=4, dtype=tf.float32, batch=2):
    return rnn_cell.LSTMStateTuple(tf.zeros([batch, 4], dtype), tf.zeros([batch, h_width], dtype))


def test_plain_stacks_run_on_the_engines():
    used = used_by(stack())
    assert used.name == auto_engine() and "the first engine that supports these layers" in used.reason
    assert used_by(LAYERS["everything"](), scope="more").name == auto_engine()
    assert used_by(stack(), engine="graph", scope="named").reason == "asked for by name"
    for k, (expected, options, cell) in enumerate([
        (auto_engine(), {"sequence_length": [5, 2]}, rnn_cell.BasicLSTMCell(4)),
        (auto_engine(), {"sequence_length": tf.constant([5, 2], tf.int64), "time_major": False},
         rnn_cell.LSTMCell(4, reuse=None)),
        (auto_engine(), {"initial_state": pair()}, rnn_cell.BasicLSTMCell(4)),
        (auto_engine(), {"initial_state": (pair(), tuple(pair(3)))}, two_layers()),
        (auto_engine(), {"parallel_iterations": 1, "swap_memory": True}, rnn_cell.LSTMCell(4, activation="relu")),
        (auto_engine(), {}, rnn_cell.LSTMCell(4, activation=tf.sigmoid, num_unit_shards=2)),
        (auto_engine(), {"initial_state": rnn_cell.LSTMStateTuple(
            tf.placeholder(tf.float32), tf.placeholder(tf.float32, [2, None]))}, rnn_cell.LSTMCell(4)),
        (auto_engine(), {"initial_state": (pair(), pair(3))}, rnn_cell.DropoutWrapper(
            rnn_cell.MultiRNNCell([rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), 1.0), LAYERS["everything"]()]))),
        (auto_engine(), {"x": tf.placeholder(tf.float32, [None, None, 3])}, rnn_cell.BasicLSTMCell(4)),
        (auto_engine(), {"x": np.zeros([2, 5, 3], np.float32)}, rnn_cell.BasicLSTMCell(4)),
    ]):  # fmt: skip
        assert used_by(cell, scope=f"call_{k}", **options).name == expected, k


def needs_a_step(state):
    """A `dropout_state_filter_visitor` that looks at the inputs of the op of its tensor."""
    return True if isinstance(state, tuple) else bool(state.op.inputs[0].name)


# condition -> calls that do not meet it, each with the words that say so.
STEPWISE_CALLS = {
    "_no_foreign_classes": [
        ("no engine runs the class Subclass", lambda: run(rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(4), Subclass(3)]))),
        ("no engine runs the class Subclass", lambda: run(rnn_cell.DropoutWrapper(Subclass(3), 0.5))),
        ("no engine runs the class Wrapper", lambda: run(Wrapper(rnn_cell.LSTMCell(3)))),
        ("no engine runs the class AttentionCellWrapper",
         lambda: run(rnn_cell.AttentionCellWrapper(rnn_cell.LSTMCell(3), 2))),
    ],
    "_no_replaced_methods": [
        ("the program has replaced `call` of the LSTMCell", lambda: run(with_attribute("call"))),
        ("the program has replaced `_activation` of the LSTMCell", lambda: run(with_attribute("_activation"))),
    ],
    "_forget_biases_fit": [
        ("the forget_bias of the LSTMCell has the shape .2, 4.",
         lambda: run(rnn_cell.LSTMCell(4, forget_bias=tf.ones([2, 4])))),
    ],
    "_activations_have_names": [
        ("the activation softmax is a Python function, not one", lambda: run(stack(activation=tf.nn.softmax))),
        ("the activation <lambda> is a Python function, not one", lambda: run(stack(activation=lambda v: tf.tanh(v)))),
    ],
    "_inputs_are_one_tensor": [
        ("the inputs have the shape", lambda: run(rnn_cell.LSTMCell(4), tf.zeros([2, 5]))),
        ("the inputs have the shape", lambda: run(rnn_cell.LSTMCell(4), tf.placeholder(tf.float32, [2, 5, None]))),
        ("the inputs are a nest", lambda: run(rnn_cell.LSTMCell(4), (tf.zeros([2, 5, 3]), tf.zeros([2, 5, 3])))),
    ],
    "_dtypes_are_equal": [
        ("the dtypes are float32 and float64", lambda: run(rnn_cell.LSTMCell(4, dtype=tf.float64))),
        ("the dtypes are float32 and float64", lambda: run(rnn_cell.LSTMCell(4), dtype=tf.float64)),
        ("the dtype is int32", lambda: run(rnn_cell.LSTMCell(4), tf.zeros([2, 5, 3], tf.int32), dtype=tf.int32)),
    ],
    "_widths_fit": [
        ("a cell was built for inputs of width 2", lambda: run(built_for_another_width())),
    ],
    "_wrappers_act_on_all_steps": [
        ("a DropoutWrapper has a dropout_state_filter_visitor that needs the tensors of TensorFlow's loop",
         lambda: run(rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), state_keep_prob=0.5, variational_recurrent=True,
                                             dtype=tf.float32, dropout_state_filter_visitor=needs_a_step))),
        ("a DropoutWrapper has an input_size that is not 3",
         lambda: run(rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), 0.5, variational_recurrent=True, input_size=4,
                                             dtype=tf.float32))),
        ("a ResidualWrapper has a residual_fn that has the op Mean",
         lambda: run(rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(3),
                                              residual_fn=lambda x, h: h - tf.reduce_mean(x, 0, keepdims=True)))),
        ("a ResidualWrapper would add inputs of width 3 to outputs of width 4",
         lambda: run(rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(4)))),
        ("a HighwayWrapper would mix inputs of width 3 with outputs of width 4",
         lambda: run(rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(4)))),
        ("the InputProjectionWrapper has an activation that has the op Cumsum",
         lambda: run(rnn_cell.InputProjectionWrapper(rnn_cell.LSTMCell(4), 3, tf.cumsum))),
        ("the OutputProjectionWrapper has an activation that has the op Cumsum",
         lambda: run(rnn_cell.OutputProjectionWrapper(rnn_cell.LSTMCell(4), 3, tf.cumsum))),
    ],
    "_initial_state_fits": [
        ("the initial state does not have the structure",
         lambda: run(rnn_cell.LSTMCell(4), initial_state=tf.zeros([2, 8]))),
        ("the initial state does not have the structure", lambda: run(stack(), initial_state=(pair(),))),
        ("the initial state does not have the structure",
         lambda: run(rnn_cell.LSTMCell(4, state_is_tuple=False), initial_state=pair())),
        ("the initial state has a tensor of dtype float32 .*7",
         lambda: run(rnn_cell.LSTMCell(4, state_is_tuple=False), initial_state=tf.zeros([2, 7]))),
        ("the initial state has a tensor of dtype float64",
         lambda: run(rnn_cell.LSTMCell(4), initial_state=pair(dtype=tf.float64))),
        ("the initial state has a tensor of dtype float32 .*3",
         lambda: run(rnn_cell.LSTMCell(4), initial_state=pair(3))),
        ("the initial state has a tensor of dtype float32 .*7",
         lambda: run(rnn_cell.LSTMCell(4), initial_state=pair(batch=7))),
    ],
}  # fmt: skip


def test_every_condition_has_a_test():
    assert list(STEPWISE_CALLS) == [condition.__name__ for condition in dispatch.CONDITIONS]


# condition -> the numbers of those of its calls that TensorFlow's loop refuses, too, in its own words.
REFUSED = {
    "_inputs_are_one_tensor": [0, 1, 2],
    "_dtypes_are_equal": [0, 1, 2],
    "_widths_fit": [0],
    "_wrappers_act_on_all_steps": [1, 3, 4],
    "_initial_state_fits": [0, 1, 2, 3, 4, 5, 6],
}


@pytest.mark.parametrize(
    "condition, k", [(name, k) for name, calls in STEPWISE_CALLS.items() for k in range(len(calls))]
)
def test_what_keeps_a_call_from_the_engines(condition, k, monkeypatch):
    words, call = STEPWISE_CALLS[condition][k]
    choices, choose = [], dispatch.choose
    monkeypatch.setattr(dispatch, "choose", lambda *args: choices.append(choose(*args)) or choices[-1])
    if k in REFUSED.get(condition, []):
        with pytest.raises((ValueError, TypeError)) as raised:
            call()
        assert "expected a stack" not in str(raised.value)
    else:
        outputs, _ = call()
        assert rnn_cell.engine_used(outputs) == choices[-1]
    ((name, reason),) = choices
    assert name == "stepwise" and re.match("TensorFlow's own loop, because " + words, reason)


def test_an_engine_by_name_refuses_what_it_cannot_run():
    with pytest.raises(ValueError, match="dynamic_rnn: the engine 'graph' .asked for by name. cannot run this call: "):
        run(rnn_cell.DropoutWrapper(Subclass(4), 0.5), engine="graph")
    for name in ("g", ""):
        expected = f"expected `engine` to be one of auto, cudnn, graph, native, stepwise, got {name!r}"
        with pytest.raises(ValueError, match=expected):
            run(stack(), engine=name)


def test_default_engine_and_environment(monkeypatch):
    assert used_by(stack(), scope="a", engine="auto") == used_by(stack(), scope="default")
    assert used_by(stack(), scope="named").name == auto_engine()
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "stepwise")
    assert used_by(stack(), scope="b") == ("stepwise", "asked for by STACKED_LSTM_ENGINE")
    assert used_by(stack(), scope="c", engine="graph").name == "graph"  # The argument takes precedence.
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "graph")
    assert used_by(stack(), scope="d").name == "graph"
    assert used_by(rnn_cell.DropoutWrapper(Subclass(4), 0.5), scope="e").name == "stepwise"
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "grap")
    with pytest.raises(ValueError, match="dynamic_rnn: expected `STACKED_LSTM_ENGINE` to be one of .*, got 'grap'"):
        run(stack())
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "")
    assert used_by(stack(), scope="f").name == auto_engine()


def test_engine_used_knows_its_own_outputs_only():
    outputs, state = run(stack())
    assert rnn_cell.engine_used(outputs).name == auto_engine()
    for value in (tf.zeros([2]), state, 3):
        with pytest.raises(ValueError, match="engine_used: expected outputs of this package's loops, got"):
            rnn_cell.engine_used(value)
    both, _ = rnn_cell.bidirectional_dynamic_rnn(
        rnn_cell.LSTMCell(4), Subclass(4), tf.zeros([2, 5, 3]), dtype=tf.float32
    )
    assert [rnn_cell.engine_used(outputs).name for outputs in both] == [auto_engine(), "stepwise"]


def test_arguments_are_those_of_tensorflow_1():
    for function, reference in (
        (rnn_cell.dynamic_rnn, tf.nn.dynamic_rnn),
        (rnn_cell.bidirectional_dynamic_rnn, tf.nn.bidirectional_dynamic_rnn),
    ):
        parameters = list(inspect.signature(function).parameters.values())
        expected = list(inspect.signature(reference).parameters.values())
        assert [(p.name, p.default) for p in parameters[:-1]] == [(p.name, p.default) for p in expected]
        assert (parameters[-1].name, parameters[-1].default) == ("engine", None)


@NEEDS_NATIVE
def test_what_the_native_engine_leaves_to_graph():
    for k, make in enumerate([
        lambda: rnn_cell.CoupledInputForgetGateLSTMCell(4, layer_norm=True),
        lambda: rnn_cell.LSTMBlockCell(4, cell_clip=0.5),
    ]):  # fmt: skip
        words = "'native' .asked for by .*. cannot run these layers: it does not support a step with another equation"
        with pytest.raises(ValueError, match=words):
            run(make(), engine="native", scope=f"by_name_{k}")
        assert (
            "not native: it does not support a step with another equation" in used_by(make(), scope=f"auto_{k}").reason
        )


def test_forget_biases_that_are_tensors(session):
    x = tf.constant(random([2, 5, 3]))
    results = []
    for forget_bias in (0.7, tf.constant(0.7)):
        with tf.variable_scope("share", reuse=tf.AUTO_REUSE):
            results.append(run(rnn_cell.BasicLSTMCell(4, forget_bias=forget_bias), x, "graph")[0])
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run(results))


def test_states_of_unknown_width(session):
    start = [tf.placeholder_with_default(np.zeros([2, n], np.float32), None) for n in (4, 3)]
    cell = LAYERS["everything"]()
    outputs, state = run(cell, initial_state=tuple(start), engine="graph")
    assert outputs.shape.as_list() == [2, 5, 3] and state.c.shape.as_list() == [2, 4]
    gradients = tf.gradients(outputs, cell.weights)
    session.run(tf.global_variables_initializer())
    assert np.any(session.run(gradients)[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="`initial_state.0..c` of shape"):
        session.run(outputs, {start[0]: np.zeros([2, 5])})


def test_lengths_of_the_wrong_shape(session):
    for engine in ("graph", "stepwise"):
        with pytest.raises(ValueError, match=r"must be a vector of length batch_size, but saw shape: \(2, 1\)"):
            run(stack(), sequence_length=[[5], [2]], engine=engine)


@pytest.mark.parametrize("shape, wrong", [([None], [1, 2, 3]), (None, 2), (None, [[1, 2]])])
def test_lengths_of_the_wrong_shape_when_the_graph_runs(shape, wrong, session):
    lengths = tf.placeholder(tf.int32, shape)
    x = tf.placeholder(tf.float32, [None, None, 3])
    outputs, _ = run(stack(), x, sequence_length=lengths)
    session.run(tf.global_variables_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected `sequence_length` of shape"):
        session.run(outputs, {x: np.zeros([2, 5, 3]), lengths: wrong})


@pytest.mark.parametrize("engine", ["graph", pytest.param("native", marks=NEEDS_NATIVE), "stepwise"])
@pytest.mark.parametrize("lengths", [[6, 2], [5, -1]])
def test_lengths_out_of_range_that_are_read_from_the_end(engine, lengths, session, monkeypatch):
    """TensorFlow cannot reverse such sequences. An engine that reverses none says the same."""
    monkeypatch.setenv("STACKED_LSTM_ENGINE", engine)
    x, fed = tf.constant(random([5, 2, 3])), tf.placeholder(tf.int32, [None])
    cells, options = [rnn_cell.BasicLSTMCell(4) for _ in "fb"], {"sequence_length": fed, "dtype": tf.float32}
    both, _ = rnn_cell.bidirectional_dynamic_rnn(*cells, x, time_major=True, **options)
    alone, _ = rnn_cell.TimeReversedFusedRNN(rnn_cell.LSTMBlockFusedCell(4))(x, **options)
    session.run(tf.global_variables_initializer())
    for outputs in (both[1], alone):
        assert rnn_cell.engine_used(outputs).name == engine
        assert np.all(session.run(outputs, {fed: [5, 2]})[2:, 1] == 0)
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(outputs, {fed: lengths})


def test_other_bad_calls():
    with pytest.raises(ValueError, match="If there is no initial_state, you must give a dtype."):
        rnn_cell.dynamic_rnn(stack(), tf.zeros([2, 5, 3]))
    for call in (
        lambda: rnn_cell.dynamic_rnn(tf.tanh, tf.zeros([2, 5, 3]), dtype=tf.float32),
        lambda: rnn_cell.bidirectional_dynamic_rnn(stack(), stack, tf.zeros([2, 5, 3]), dtype=tf.float32),
    ):
        with pytest.raises(TypeError, match="is not an RNNCell"):
            call()
