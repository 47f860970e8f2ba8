"""What every engine must do, on the CPU and on a GPU: its contract, its derivatives, and parity with all peers.

On the CPU, `cudnn` computes with NumPy. test_engines.py has the tests that only run on the CPU.
"""

import itertools

import numpy as np
import pytest

from stacked_lstm import activations, engines, numpy_lstm, parity
from stacked_lstm.compat import tf
from stacked_lstm.lstm import equations
from stacked_lstm.lstm.layer import Layer
from support.references import numeric
from support.references.derivatives import STACKS, Problem
from support.references.peers import compared, differences, differences_of
from support.suite.places import ANYWHERE, runs_on_gpus, with_every_engine, with_general_engines
from support.suite.sets import LAYOUTS, ONCE, some

# Narrow and wide layers and inputs, layers that share a loop, and layers with their own loops.
NETWORKS = {
    "one layer": ([5], 3),
    "narrow input": ([16], 1),
    "three layers of a loop": ([4, 7, 3], 5),
    "wide input": ([3, 6], 40),
    "own loops": ([260, 5, 270], 4),
}

PADDED = (5, 0, 3)


@with_every_engine
@pytest.mark.parametrize("lengths", [None, [3, 0]])
def test_contract_of_run(lengths, engine, session):
    """One layer, time-major, with tensors as weights and a tuple as state."""
    random = np.random.RandomState(0)
    values = {"W" + gate: random.standard_normal([7, 4]) for gate in equations.GATE_ORDER}
    values.update({"b" + gate: random.standard_normal([4]) for gate in equations.GATE_ORDER})
    x, c, h = (random.standard_normal(shape) for shape in ([5, 2, 3], [2, 4], [2, 4]))
    functions = [activations.ACTIVATIONS[name] for name in ("tanh", "sigmoid")]
    tensors = {name: tf.constant(value) for name, value in values.items()}
    kernels, biases = ([tensors[kind + gate] for gate in equations.GATE_ORDER] for kind in "Wb")
    layer = Layer(3, 4, kernels, biases, *functions)
    padded = np.where(np.arange(5)[:, None, None] < np.array(lengths or [5, 5])[:, None], x, np.nan)
    states, tensor_lengths = [(tf.constant(c), tf.constant(h))], None if lengths is None else tf.constant(lengths)
    outputs, final = engines.ENGINES[engine].run(layer, tf.constant(padded), states[0], lengths)
    stack_outputs, (stack_final,) = engines.ENGINES[engine].run_layers(
        [layer], tf.constant(padded), states, tensor_lengths
    )
    gradients = tf.gradients([outputs, final.c], [tensors["Wf"], tensors["bo"]])
    assert np.all(np.isfinite(session.run(gradients[0]))) and np.any(session.run(gradients[1]))
    expected, ((expected_c, expected_h),), _ = numpy_lstm.forward([values], x, [(c, h)], lengths)
    got = session.run({"outputs": outputs, "c": final.c, "h": final.h})
    assert numeric.relative_difference(got["outputs"], expected) < 1e-14
    np.testing.assert_allclose(got["c"], expected_c, rtol=0, atol=1e-14)
    np.testing.assert_allclose(got["h"], expected_h, rtol=0, atol=1e-14)
    for one, other in zip(session.run([outputs, *final]), session.run([stack_outputs, *stack_final])):
        np.testing.assert_array_equal(one, other)


@with_every_engine
@pytest.mark.parametrize(
    "stack, lengths",
    some(
        [("in the loop", None), ("before the loop", PADDED), ("shared loop", PADDED), ("own loops", None)],
        list(itertools.product(sorted(STACKS), [None, PADDED])),
        oldest=[("shared loop", PADDED), ("own loops", None)],
    ),
)
def test_gradients(stack, lengths, engine, plain_session):
    Problem(plain_session, *STACKS[stack], lengths=lengths, initial_state="projected", engine=engine).check_gradients()


@with_every_engine
def test_no_gradient_from_padding(engine, plain_session):
    """Outputs past the end are zero, and inputs past the end have no gradient."""
    lengths = [5, 0, 3]
    problem = Problem(plain_session, [8, 3], 2, lengths, initial_state="projected", engine=engine)
    d_inputs = problem.at(problem.point, problem.gradients[0])
    outputs = problem.at(problem.point, problem.outputs)
    past_end = np.arange(5) >= np.array(lengths)[:, None]
    assert not np.any(d_inputs[past_end]) and np.all(d_inputs[~past_end])
    assert not np.any(outputs[past_end]) and np.all(outputs[~past_end])


@with_general_engines
def test_garbage_in_the_padding(general_engine, session):
    """Not even with an activation that lets it grow, nor in weight gradients, where zeros would multiply it."""
    problem = Problem(
        session, [8, 3], 2, [5, 0, 3], activation="linear", initial_state="projected", engine=general_engine
    )
    padding = np.arange(5) >= np.array([5, 0, 3])[:, None]

    def results(value):
        problem.point[0][padding] = value
        return tf.nest.flatten(problem.at(problem.point, [problem.outputs, problem.state, problem.gradients]))

    clean = results(0)
    for garbage in (np.nan, np.inf, 1e300):
        for a, b in zip(results(garbage), clean):
            np.testing.assert_array_equal(a, b, err_msg=str(garbage))


@with_every_engine
def test_unused_states_get_no_gradient(engine, plain_session):
    """A loss on the outputs up to step t depends on nothing after t."""
    problem = Problem(plain_session, [4], 2, engine=engine)
    early = tf.gradients(problem.outputs[:, 1], problem.x)[0]
    values = problem.at(problem.point, early)
    assert np.all(values[:, :2]) and not np.any(values[:, 2:])


@with_every_engine
def test_two_gradients_in_one_run(engine, plain_session):
    """Both read the tape of the forward pass."""
    problem = Problem(plain_session, [4], 2, engine=engine)
    a, b = tf.gradients(problem.outputs, problem.x)[0], tf.gradients(2.0 * problem.outputs, problem.x)[0]
    stack_outputs = problem.at(problem.point, [a, b])
    np.testing.assert_allclose(2 * stack_outputs[0], stack_outputs[1], rtol=1e-14)


# Parity. Keras builds by far the largest graphs. It only takes part in the comparisons of initial states, with one
# engine, and of training, also with one engine.

DTYPES = list(itertools.product(sorted(NETWORKS), ["float32", "float64"]))
QUICK_DTYPES = [(stack, "float64") for stack in ("one layer", "three layers of a loop", "own loops")]
QUICK_DTYPES += [(stack, "float32") for stack in ("narrow input", "wide input", "three layers of a loop")]
OLDEST_DTYPES = [("own loops", "float64"), ("three layers of a loop", "float32")]


@with_every_engine
@pytest.mark.parametrize("stack, dtype", some(QUICK_DTYPES, DTYPES, oldest=OLDEST_DTYPES))
def test_stacks(stack, dtype, engine, plain_session):
    hidden_sizes, input_size = NETWORKS[stack]
    setup = parity.Setup(hidden_sizes, input_size, lengths=True, dtype=dtype, engine=engine)
    assert parity.exceeded(differences(setup, plain_session)) == []


@with_every_engine
@pytest.mark.parametrize("initial_state, lengths, time_major", LAYOUTS)
def test_layouts_and_initial_states(initial_state, lengths, time_major, engine, peers, plain_session):
    dtype = "float64" if initial_state == "projected" else "float32"
    setup = parity.Setup([4, 6], 3, 1, initial_state, lengths, time_major, dtype, engine)
    found = differences(setup, plain_session, peers=peers if engine == "graph" else parity.PEERS)
    assert parity.exceeded(found) == []


@with_every_engine
def test_sizes(engine, plain_session):
    """One graph takes batches of all sizes, in turn."""
    session = plain_session
    setup = parity.Setup([8, 5], 4, lengths=True, engine=engine)
    comparison = compared(setup, session, peers=parity.PEERS, learning_rate=None)
    for batch, time_steps in [(1, 1), (1, 9), (4, 1), (3, 100)]:
        found = differences_of(comparison, setup, session, batch, time_steps)
        assert parity.exceeded(found) == [], (batch, time_steps)


@with_every_engine
def test_control_flows(control_flow, engine, plain_session):
    setup = parity.Setup([4, 6], 3, lengths=True, dtype="float64", engine=engine)
    assert parity.exceeded(differences(setup, plain_session)) == []


@ANYWHERE
def test_half_precision(session):
    assert parity.exceeded(differences(parity.Setup([4, 6], 3, dtype="float16"), session)) == []


TRAINING = [("float32", "zeros", False), ("float64", "learned", True), ("float32", "projected", True)]


@ONCE
@with_every_engine
@pytest.mark.parametrize("dtype, initial_state, lengths", some([TRAINING[1]], TRAINING))
def test_training_side_by_side(dtype, initial_state, lengths, engine, peers, plain_session):
    session, peers = plain_session, peers if engine == "graph" else parity.PEERS
    setup = parity.Setup([8, 8], 2, 3, initial_state, lengths, dtype=dtype, engine=engine)
    comparison = compared(setup, session, peers=peers, learning_rate=0.1)
    random = np.random.RandomState(0)
    inputs = random.standard_normal([100, 16, 12, 2])
    batches = [parity.training_batch(setup, x, 1 + 0.5 * x[:, -3:, 0]) for x in inputs]
    losses = parity.train(comparison, session, batches)
    assert losses.shape == (100, 1 + len(peers)) and losses[-1, 0] < 0.5 * losses[0, 0]
    assert np.all(parity.loss_differences(losses) < parity.LOSS_TOLERANCES[dtype])


@with_every_engine
def test_one_step_changes_every_variable(engine, peers, plain_session):
    """Even those of the initial state, in all networks."""
    session, peers = plain_session, peers if engine == "graph" else parity.PEERS
    setup = parity.Setup([4, 3], 2, 1, "projected", dtype="float64", engine=engine)
    comparison = compared(setup, session, peers=peers)
    random = np.random.RandomState(0)
    batch = parity.training_batch(setup, random.standard_normal([3, 5, 2]), random.standard_normal([3, 1]))
    before = session.run(comparison.lstm.variables)
    parity.train(comparison, session, [batch] * 2)
    after = session.run(comparison.lstm.variables)
    assert all(np.all(a != b) for a, b in zip(before, after))
    found = parity.differences(comparison, session, parity.random_batch(setup, 3, 5, seed=1), "float64")
    assert parity.exceeded(found) == []


def test_on_a_gpu_too():
    """All tests of this module, except this one, also run on a GPU."""
    tests = {name: value for name, value in globals().items() if name.startswith("test_")}
    assert [name for name, test in tests.items() if not runs_on_gpus(test)] == ["test_on_a_gpu_too"]
