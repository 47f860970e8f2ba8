"""BidirectionalLSTM against NumPy, PyTorch, and two stacks of TensorFlow 1's cells."""

import itertools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, LSTMState, layouts, rnn_cell
from stacked_lstm.compat import tf
from support.references import bidirectional_in_numpy as witness
from support.references import numeric
from support.suite.sets import ONCE, some

STEPS, BATCH, WIDTH, SIZES = 6, 4, 3, [4, 3]
LENGTHS = [6, 0, 1, 4]
MERGES, STACKINGS = ["concat", "sum", "mul", "average", None], ["layers", "stacks"]
KINDS = ["zeros", "learned", "projected", "argument"]
EVERY = list(itertools.product(MERGES, STACKINGS, KINDS))
# Every pair of a merge and a stacking, and of a stacking and a kind of initial state.
QUICK = [(m, s, KINDS[(k + n) % 4]) for k, m in enumerate(MERGES) for n, s in enumerate(STACKINGS)]


def random_inputs(random, has_lengths):
    """(x [T, B, I], lengths): with lengths, what comes after the end of a sequence is NaN."""
    x = random.standard_normal([STEPS, BATCH, WIDTH])
    lengths = LENGTHS if has_lengths else [STEPS] * BATCH
    for b, length in enumerate(lengths):
        x[length:, b] = np.nan
    return x, lengths


def random_pairs(random, sizes=SIZES):
    """A (c, h) per layer, for each direction."""
    return [[LSTMState(*random.standard_normal([2, BATCH, size])) for size in sizes] for _ in witness.SIDES]


def check_against_numpy(merge, stacking, kind, engine, session, has_lengths=True, time_major=True):
    """Outputs, states, and the gradients of all that they depend on."""
    random = np.random.RandomState(0)
    x, lengths = random_inputs(random, has_lengths)
    configured = "zeros" if kind == "argument" else kind
    lstm = BidirectionalLSTM(
        SIZES,
        merge=merge,
        stacking=stacking,
        initial_state=configured,
        weight_initializer="xavier",
        bias_initializer="tn",
        dtype=tf.float64,
        engine=engine,
    )
    axes = [0, 1, 2] if time_major else [1, 0, 2]
    starts = random_pairs(random) if kind == "argument" else None
    given = tf.constant(x.transpose(axes))
    fed = [[LSTMState(*map(tf.constant, pair)) for pair in side] for side in starts] if starts else None
    outputs, state = lstm(given, tf.constant(lengths) if has_lengths else None, fed, time_major)
    session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(session)
    expected, finals, tape = witness.run(weights, x, lengths, merge, stacking, configured, starts)

    d_outputs = [random.standard_normal(part.shape) for part in (expected if merge is None else [expected])]
    d_states = random_pairs(random)
    of = {"x": given}
    of.update({variable.op.name[len("bidirectional_lstm/") :]: variable for variable in lstm.variables})
    for side, pairs in zip(witness.SIDES, fed or []):
        of.update({f"{side} {k} {f}": getattr(pair, f) for k, pair in enumerate(pairs) for f in "ch"})
    targets = list(outputs) if merge is None else [outputs]
    targets += [part for side in state for pair in side for part in pair]
    upstream = [d.transpose(axes) for d in d_outputs] + [part for side in d_states for pair in side for part in pair]
    found = tf.gradients(targets, list(of.values()), [tf.constant(d) for d in upstream])
    got, got_state, got_gradients = session.run([outputs, state, dict(zip(of, found))])

    for part, reference in zip(got if merge is None else [got], expected if merge is None else [expected]):
        assert numeric.relative_difference(part.transpose(axes), reference) < 1e-12
    for side, pairs in zip(got_state, finals):
        for pair, reference in zip(side, pairs):
            for part, other in zip(pair, reference):
                assert numeric.relative_difference(part, other) < 1e-12
    d = d_outputs if merge is None else d_outputs[0]
    gradients = witness.gradients(tape, lengths, merge, configured, d, d_states)
    if starts is None:
        gradients = {name: value for name, value in gradients.items() if " " not in name}
    got_gradients["x"] = got_gradients["x"].transpose(axes)
    numeric.check_same(got_gradients, gradients, 1e-12)


@pytest.mark.parametrize("merge, stacking, kind", some(QUICK, EVERY, oldest=QUICK[:4]))
def test_numbers(merge, stacking, kind, general_engine, plain_session):
    check_against_numpy(merge, stacking, kind, general_engine, plain_session)


LAYOUTS = [(False, True), (True, False), (False, False)]


@pytest.mark.parametrize(
    "stacking, has_lengths, time_major",
    some(
        [(STACKINGS[k % 2], *layout) for k, layout in enumerate(LAYOUTS)],
        [(stacking, *layout) for stacking, layout in itertools.product(STACKINGS, LAYOUTS)],
    ),
)
def test_numbers_of_other_layouts(stacking, has_lengths, time_major, plain_session):
    check_against_numpy("concat", stacking, "projected", "graph", plain_session, has_lengths, time_major)


@pytest.mark.parametrize("merge", MERGES)
def test_a_single_layer_is_the_same_in_both_stackings(merge, plain_session):
    x = tf.constant(np.random.RandomState(0).standard_normal([BATCH, STEPS, WIDTH]))
    results, built = [], []
    for stacking in STACKINGS:
        lstm = BidirectionalLSTM([4], merge=merge, stacking=stacking, dtype=tf.float64, engine="graph", name=stacking)
        results.append(lstm(x, LENGTHS))
        built.append(lstm)
    plain_session.run(tf.global_variables_initializer())
    built[1].set_weights(plain_session, *built[0].get_weights(plain_session))
    a, b = (tf.nest.flatten(result) for result in plain_session.run(results))
    assert all(np.array_equal(*pair) for pair in zip(a, b)) and len(a) == len(b) and np.any(a[0])


@ONCE
@pytest.mark.parametrize("projection_size", [None, 2])
def test_pytorch(projection_size, plain_session):
    """Two bidirectional layers on packed sequences, outputs and gradients. PyTorch refuses empty sequences."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    peer = torch.nn.LSTM(WIDTH, 5, 2, batch_first=True, bidirectional=True, proj_size=projection_size or 0).double()
    random, lengths = np.random.RandomState(0), [6, 2, 1, 4]
    x = random.standard_normal([BATCH, STEPS, WIDTH])
    lstm = BidirectionalLSTM([5, 5], projection_size=projection_size, dtype=tf.float64, engine="graph")
    given = tf.constant(x)
    outputs, state = lstm(given, lengths)
    (d_x,) = tf.gradients(outputs**2, [given])
    plain_session.run(tf.global_variables_initializer())

    weights = {name: value.detach().numpy() for name, value in peer.named_parameters()}
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] + ["weight_hr"] * bool(projection_size)
    sides = []
    for suffix in ("", "_reverse"):
        parts = [{name: weights[f"{name}_l{k}{suffix}"] for name in names} for k in range(2)]
        sides.append(([layouts.unpack(part, "pytorch") for part in parts], None))
    lstm.set_weights(plain_session, *sides)

    x_peer = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x_peer, lengths, batch_first=True, enforce_sorted=False)
    packed_outputs, (h, c) = peer(packed)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_outputs, batch_first=True)
    (expected**2).sum().backward()
    got, got_state, got_d_x = plain_session.run([outputs, state, d_x])
    assert numeric.relative_difference(got, expected.detach().numpy()) < 1e-12
    assert numeric.relative_difference(got_d_x, x_peer.grad.numpy()) < 1e-12
    for k, n in itertools.product(range(2), range(2)):  # PyTorch's rows: layer by layer, both directions of each.
        assert numeric.relative_difference(got_state[n][k].h, h[2 * k + n].detach().numpy()) < 1e-12
        assert numeric.relative_difference(got_state[n][k].c, c[2 * k + n].detach().numpy()) < 1e-12


def test_bidirectional_dynamic_rnn(plain_session):
    """Two stacks side by side, as `bidirectional_dynamic_rnn` has them with a MultiRNNCell per direction."""
    x = tf.constant(np.random.RandomState(0).standard_normal([BATCH, STEPS, WIDTH]))
    lstm = BidirectionalLSTM(SIZES, merge=None, stacking="stacks", dtype=tf.float64, engine="graph")
    outputs, state = lstm(x, LENGTHS)
    cells = [rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(size) for size in SIZES]) for _ in range(2)]
    expected = rnn_cell.bidirectional_dynamic_rnn(*cells, x, LENGTHS, dtype=tf.float64, engine="stepwise")
    plain_session.run(tf.global_variables_initializer())
    kernels = {v.op.name: v for v in tf.global_variables() if "/cell_" in v.op.name}
    assert len(kernels) == 8
    for side, short in zip(lstm.get_weights(plain_session), ("fw", "bw")):
        for k, layer in enumerate(side.layers):
            prefix = f"bidirectional_rnn/{short}/multi_rnn_cell/cell_{k}/lstm_cell/"
            for name, array in layouts.pack(layer, "rnn_cell").items():
                kernels[prefix + name].load(array, plain_session)
    a, b = (tf.nest.flatten(result) for result in plain_session.run([(outputs, state), expected]))
    assert len(a) == len(b) == 10
    for actual, reference in zip(a, b):
        assert numeric.relative_difference(actual, reference) < 1e-12
