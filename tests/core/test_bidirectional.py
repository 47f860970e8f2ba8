"""BidirectionalLSTM against NumPy, PyTorch, and two stacks of TensorFlow 1's cells; its variables and its messages."""

import itertools
import os

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, LSTMState, StackedLSTM, checkpoints, layouts, rnn_cell
from stacked_lstm.compat import tf
from support import bidirectional_in_numpy as witness
from support import numeric
from support.paths import GOLDEN
from support.sets import ONCE, some

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


@pytest.mark.parametrize("merge, times", [("concat", 2), (None, 2), ("sum", 1)])
def test_names_and_shapes_of_variables(merge, times):
    """Checkpoints depend on them, so they never change."""
    expected = {}
    for side in ("forward", "backward"):
        for k, rows, width, below in ((1, 7, 4, 3), (2, 6 + 4 * times, 6, 4 * times)):
            expected.update({f"two/{side}/layer_{k}/W{g}": [rows, width] for g in "fico"})
            expected.update({f"two/{side}/layer_{k}/b{g}": [width] for g in "fico"})
            expected.update({f"two/{side}/initial_state/layer_{k}/W_{f}": [below, width] for f in "ch"})
    lstm = BidirectionalLSTM([4, 6], merge=merge, initial_state="projected", name="two")
    lstm.build(3)
    assert {v.op.name: v.shape.as_list() for v in tf.trainable_variables()} == expected
    assert {v.op.name for v in lstm.variables} == set(expected) and len(lstm.variables) == len(expected)
    assert lstm.weights == lstm.trainable_variables == lstm.variables
    assert lstm.layers.backward[1].Wf.op.name == "two/backward/layer_2/Wf"
    assert lstm.variables_by_layer.forward.initial_state[1]["W_c"].op.name == "two/forward/initial_state/layer_2/W_c"
    assert lstm.count_params() == sum(int(np.prod(shape)) for shape in expected.values())


def test_names_of_two_stacks():
    BidirectionalLSTM([4, 6], stacking="stacks", initial_state="learned").build(3)
    names = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert len(names) == 2 * (16 + 4)
    assert names["bidirectional_lstm/forward/layer_2/Wf"] == [10, 6]
    assert names["bidirectional_lstm/backward/initial_state/layer_2/h"] == [6]


def test_repr_and_engine(session):
    lstm = BidirectionalLSTM([4, 6], merge=None, engine="graph")
    assert repr(lstm) == "BidirectionalLSTM([4, 6], merge=None, stacking='layers', not built)"
    assert lstm.engine_used is None
    lstm(tf.zeros([2, 5, 3]))
    expected = 2 * (4 * (7 * 4 + 4) + 4 * (14 * 6 + 6))
    assert (
        repr(lstm) == f"BidirectionalLSTM([4, 6], merge=None, stacking='layers', input_size=3, {expected} parameters)"
    )
    assert lstm.engine_used.name == "graph"


def test_a_second_call_shares_variables(session):
    lstm = BidirectionalLSTM([4, 3])
    x = tf.placeholder(tf.float32, [None, None, 2])
    first, second = lstm(x)[0], lstm(x)[0]
    assert len(tf.global_variables()) == 32 and first.shape.as_list() == [None, None, 6]
    session.run(tf.global_variables_initializer())
    for batch, steps in ((2, 3), (0, 2), (2, 0)):
        a, b = session.run([first, second], {x: np.ones([batch, steps, 2])})
        assert a.shape == (batch, steps, 6) and np.array_equal(a, b)


def test_initializers_of_single_variables(session):
    lstm = BidirectionalLSTM(
        [2, 2],
        weight_initializer={"backward/layer_2/Wi": "zeros"},
        bias_initializer={"forward/initial_state/layer_2/h": tf.ones_initializer()},
        initial_state="learned",
    )
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    values = {v.op.name: session.run(v) for v in lstm.variables}
    zeros = [name for name, value in values.items() if "/W" in name and not np.any(value)]
    ones = [name for name, value in values.items() if "/initial_state/" in name and np.all(value == 1)]
    assert zeros == ["bidirectional_lstm/backward/layer_2/Wi"]
    assert ones == ["bidirectional_lstm/forward/initial_state/layer_2/h"]


def test_dropout(session):
    """Both directions see the same inputs; recurrent masks differ; nothing is dropped at other times."""
    x = tf.ones([20, 5, 8])
    training = tf.placeholder_with_default(False, [])
    options = {"input_dropout": 0.5, "merge": None, "engine": "graph", "seed": 3}
    lstm = BidirectionalLSTM([8], weight_initializer="zeros", **options)
    first, _ = lstm(x, training=training)
    gradients = [tf.gradients(side, x)[0] for side in first]
    session.run(tf.global_variables_initializer())
    random = np.random.RandomState(0)
    layer = {"W" + g: random.standard_normal([16, 8]) for g in "fico"}
    layer.update({"b" + g: np.zeros(8) for g in "fico"})
    lstm.set_weights(session, ([layer], None), ([layer], None))
    forward, backward = (d == 0 for d in session.run(gradients, {training: True}))
    np.testing.assert_array_equal(forward, backward)
    assert 0.4 < forward.mean() < 0.6
    assert not any(np.any(d == 0) for d in session.run(gradients))

    options = {"recurrent_dropout": 0.5, "merge": None, "engine": "graph", "seed": 3, "name": "recurrent"}
    lstm = BidirectionalLSTM([8], **options)
    outputs, _ = lstm(x, training=True)
    session.run(tf.global_variables_initializer())
    lstm.set_weights(session, ([layer], None), ([layer], None))
    forward, backward = session.run(outputs)
    assert np.any(forward != backward[:, ::-1])


def test_output_dropout_acts_on_merged_outputs(session):
    lstm = BidirectionalLSTM([8], merge="average", output_dropout=0.5, engine="graph")
    x = tf.random_normal([20, 5, 3], seed=1)
    (on, _), (off, _) = lstm(x, training=True), lstm(x)
    session.run(tf.global_variables_initializer())
    on, off = session.run([on, off])
    kept = on != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_allclose(on[kept], 2 * off[kept], rtol=1e-6)


@pytest.mark.parametrize("merge, width", [("concat", 8), ("sum", 4)])
def test_residual_layers(merge, width, plain_session):
    """The input of each layer is added to the merged output, and padding stays zero."""
    x = np.random.RandomState(0).standard_normal([STEPS, BATCH, width])
    for b, length in enumerate(LENGTHS):
        x[length:, b] = np.nan
    lstm = BidirectionalLSTM([4, 4], merge=merge, residual=True, dtype=tf.float64, engine="graph")
    outputs, _ = lstm(tf.constant(x), LENGTHS, time_major=True)
    plain_session.run(tf.global_variables_initializer())
    weights, expected = lstm.get_weights(plain_session), np.nan_to_num(x)
    for k in range(2):
        single = [type(side)([side.layers[k]], []) for side in weights]
        expected = expected + witness.run(single, expected, LENGTHS, merge, "layers")[0]
    assert numeric.relative_difference(plain_session.run(outputs), expected) < 1e-12


def test_set_weights_changes_nothing_after_an_error(session):
    lstm = BidirectionalLSTM([2])
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    before = lstm.get_weights(session)
    wrong = before.backward._replace(layers=[{"Wf": np.zeros([4, 2])}])
    with pytest.raises(ValueError, match=r"set_weights: expected `backward.layers\[0\]` with "):
        lstm.set_weights(session, before.forward._replace(layers=[dict(before[0].layers[0], bf=[9, 9])]), wrong)
    after = lstm.get_weights(session)
    assert all(np.array_equal(a, b) for a, b in zip(tf.nest.flatten(before), tf.nest.flatten(after)))


BAD_ARGUMENTS = {
    "hidden_sizes": (dict(hidden_sizes=[]), "expected `hidden_sizes` to be a non-empty sequence of positive integers"),
    "merge": (dict(merge="ave"), "expected `merge` to be one of average, concat, mul, sum or None, got 'ave'"),
    "stacking": (dict(stacking="both"), "expected `stacking` to be one of layers, stacks, got 'both'"),
    "name": (dict(name=""), "expected `name` to be a non-empty string"),
    "dropout": (dict(dropout=1.0), "expected `dropout` to be a rate from 0 to below 1, got 1.0"),
    "output_dropout": (dict(output_dropout=-1), "expected `output_dropout` to be a rate"),
    "seed": (dict(seed="x"), "expected `seed` to be None, an integer, or a scalar tensor of integers, got 'x'"),
    "residual": (
        dict(merge=None, residual=True),
        "expected no `residual` connection around the last layer, whose outputs merge=None does not merge, got True",
    ),
    "engine": (dict(engine="gpu"), "expected `engine` to be one of "),
    "dtype": (dict(dtype=tf.int32), "expected `dtype` to be one of "),
    "initial_state": (dict(initial_state="random"), "expected `initial_state` to be one of learned, projected, zeros"),
    "activation": (dict(activation="sin"), "expected `activation` to be"),
    "initializer": (
        dict(weight_initializer={"layer_1/Wf": "zeros"}),
        "expected the keys of `weight_initializer` to be names of variables, such as forward/layer_2/Wf, got 'layer_1/",
    ),
    "initializer of a layer": (
        dict(bias_initializer={"forward/layer_3/bf": "zeros"}),
        "expected the keys of `bias_initializer` to be names of variables, such as forward/layer_2/Wf, got 'forward/la",
    ),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments(name):
    arguments, message = BAD_ARGUMENTS[name]
    with pytest.raises(ValueError) as error:
        BidirectionalLSTM(**dict(dict(hidden_sizes=[4, 4]), **arguments))
    assert str(error.value).startswith("BidirectionalLSTM: " + message), error.value


def test_unknown_argument():
    with pytest.raises(TypeError, match="unexpected keyword argument 'direction'"):
        BidirectionalLSTM([4], direction="both")


def pair(width):
    return [(tf.zeros([2, width]), tf.zeros([2, width]))] * 2


BAD_CALLS = {
    "inputs": (dict(inputs=tf.float32), r"two: expected `inputs` to be a float32 tensor"),
    "width": (dict(inputs=[[[1.0]]]), "two: expected inputs of width 3, as in the first call, got width 1"),
    "lengths": (dict(sequence_length=[6, 1]), "two: expected `sequence_length` between 0 and 5, got 6"),
    "training": (dict(training=1), "two: expected `training` to be True, False, or"),
    "time_major": (dict(time_major=1), "two: expected `time_major` to be True or False, got 1"),
    "states": (dict(initial_state=[1]), r"two: expected `initial_state` to be a pair \(forward, backward\) of lists"),
    "side": (dict(initial_state=[None, 1]), "two: expected `initial_state.backward` to be a list of 2 pairs"),
    "state": (
        lambda: dict(initial_state=[pair(4), pair(5)]),
        r"two: expected `initial_state.backward\[0\].c` of shape \[2, 4\], got shape \(2, 5\)",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name):
    arguments, message = BAD_CALLS[name]
    lstm = BidirectionalLSTM([4, 4], name="two")
    lstm.build(3)
    arguments = arguments() if callable(arguments) else arguments
    with pytest.raises(ValueError, match=message):
        lstm(**dict({"inputs": tf.zeros([2, 5, 3])}, **arguments))


def test_errors_of_build(session):
    with pytest.raises(ValueError, match="^bidirectional_lstm.layers: the variables are made at the first call; call"):
        BidirectionalLSTM([4]).layers  # noqa: B018
    with pytest.raises(ValueError, match="layer 2, which has a `residual` connection, .* its input, 6, got .* 8$"):
        BidirectionalLSTM([3, 4], residual=True).build(6)
    with pytest.raises(ValueError, match="such as forward/layer_2/Wc and forward/layer_2/Wo, got forward/layer_2/Wz"):
        BidirectionalLSTM([3, 4], weight_initializer={"forward/layer_2/Wz": "zeros"}, name="unknown").build(6)
    with pytest.raises(ValueError, match=r"expected `weight_initializer\['backward/layer_2/Wf'\]` to be one of"):
        BidirectionalLSTM([3, 4], weight_initializer={"backward/layer_2/Wf": "none"}, name="bad")
    BidirectionalLSTM([3, 4]).build(6)
    with pytest.raises(ValueError, match="^BidirectionalLSTM: expected a `name` that no other stack .* layer_1/Wf alr"):
        BidirectionalLSTM([3, 4]).build(6)
    with pytest.raises(ValueError, match="^BidirectionalLSTM.build: expected `input_size` to be a positive integer"):
        BidirectionalLSTM([3, 4], name="size").build(0)
    lstm = BidirectionalLSTM([3], name="weights")
    lstm.build(2)
    with pytest.raises(ValueError, match=r"^weights.set_weights: expected `forward` to be None or a pair \(layers, "):
        lstm.set_weights(session, 3)
    with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
        BidirectionalLSTM([3]).build(2)
        with pytest.raises(ValueError, match="^BidirectionalLSTM: two stacks with the default name"):
            BidirectionalLSTM([3]).build(2)


def test_shares_variables_with_stacks_of_its_names(plain_session):
    """A forward stack of another program restores and shares the variables by their names."""
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 5, 3]))
    with tf.variable_scope("model", reuse=tf.AUTO_REUSE):
        pair_of_outputs, _ = BidirectionalLSTM([4, 3], stacking="stacks", merge=None, dtype=tf.float64, name="two")(x)
        forward, _ = StackedLSTM([4, 3], dtype=tf.float64, name="two/forward")(x)
    plain_session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*plain_session.run([pair_of_outputs.forward, forward]))


def test_checkpoints_have_directions(plain_session, tmp_path):
    """The layers of a checkpoint are not one stack. They fill a bidirectional layer of another library."""
    template = os.path.join(GOLDEN, "pytorch", "bidirectional.npz")
    peer = checkpoints.read(template).layers
    assert [layer.direction for layer in peer] == ["forward", "backward"]
    input_size, hidden_size, _ = peer[0].sizes
    lstm = BidirectionalLSTM([hidden_size], name="encoder", bias_initializer="tn")
    lstm.build(input_size)
    plain_session.run(tf.global_variables_initializer())
    layers = checkpoints.read(tf.train.Saver().save(plain_session, str(tmp_path / "model"))).layers
    assert [(layer.network, layer.direction) for layer in layers] == [
        ("encoder/forward", "forward"),
        ("encoder/backward", "backward"),
    ]
    for target, refused in {"new.npz": layers, "backward.h5": layers[1:]}.items():
        with pytest.raises(ValueError, match="expected `layers` to be one stack, all forward, got .*backward"):
            checkpoints.write(str(tmp_path / target), refused)
    target = str(tmp_path / "copy.npz")
    checkpoints.write(target, layers, template=template)
    for layer, side in zip(checkpoints.read(target).layers, lstm.get_weights(plain_session)):
        numeric.check_same(layer.weights, side.layers[0], 0)


@pytest.mark.parametrize("stacking", STACKINGS)
def test_residual_adds_the_input_before_dropout(stacking, session):
    """With weights and biases that are zero, the outputs of a direction are zero, too."""
    options = {"merge": "average", "stacking": stacking, "weight_initializer": "zeros", "engine": "graph"}
    x = np.random.RandomState(0).standard_normal([4, 5, 3]).astype(np.float32)
    outputs, _ = BidirectionalLSTM([3, 3], residual=True, input_dropout=0.5, dropout=0.5, **options)(x, training=True)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(outputs), x)
