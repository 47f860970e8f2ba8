"""The options of StackedLSTM: against NumPy with the masks of the graph, their derivatives, and the engines.

`test_numpy_options.py` checks the NumPy side. `test_options_errors.py` has the messages, and `test_random_masks.py` the
rates, shapes and seeds of the masks.
"""

import itertools

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.networks import graphs
from support.networks.option_masks import NAMES_OF_RATES, SEED, Masks, numpy_options
from support.networks.random_networks import LENGTHS, flat
from support.references import derivatives, numeric
from support.suite.sets import some


@pytest.fixture
def masks(monkeypatch):
    return Masks(monkeypatch)


EVERYTHING = dict(
    dict.fromkeys(NAMES_OF_RATES, 0.4),
    layer_norm=True,
    residual=True,
    projection_size=3,
    peepholes=True,
    cell_clip=0.6,
    projection_clip=0.4,
)
TRAINING = {
    "dropout": dict(input_dropout=0.4, dropout=0.5, output_dropout=0.2),
    "recurrent dropout": dict(recurrent_dropout=0.5),
    "candidate": dict(recurrent_dropout=0.5, recurrent_dropout_kind="candidate"),
    "zoneout": dict(zoneout_c=0.5, zoneout_h=0.3),
    "zoneout of c": dict(zoneout_c=0.5),
    "layer norm": dict(layer_norm=True),
    "layer norm of TensorFlow": dict(layer_norm="tensorflow", use_bias=False),
    "residual": dict(residual=True),
    "projection": dict(projection_size=2, projection_clip=0.2, initial_state="learned"),
    "peepholes": dict(peepholes=True, cell_clip=0.3),
    "everything": EVERYTHING,
    "all but norm": dict(EVERYTHING, layer_norm=False),
    "all but norm, other kinds": dict(EVERYTHING, layer_norm=False, recurrent_dropout_kind="candidate"),
    "everything, other kinds": dict(
        EVERYTHING,
        recurrent_dropout_kind="candidate",
        layer_norm="tensorflow",
        use_bias=False,
        initial_state="projected",
    ),
}


NATIVE = ("recurrent dropout", "candidate", "zoneout", "zoneout of c", "all but norm", "all but norm, other kinds")
NATIVE += ("everything", "everything, other kinds")
NOISE = dict(EVERYTHING, projection_size=None, peepholes=False, cell_clip=None, projection_clip=None)
NATIVE_NORM = {
    "norm and noise": NOISE,
    "norm and noise, other kinds": dict(NOISE, recurrent_dropout_kind="candidate", layer_norm="tensorflow"),
}
OF_OLDEST = ("dropout", "zoneout", "residual", "everything", "everything, other kinds")
NATIVE_OF_OLDEST = ("recurrent dropout", "all but norm", "everything, other kinds", "norm and noise")
WITH_LENGTHS = ("everything", "recurrent dropout", "zoneout", "residual", "projection")


@pytest.mark.parametrize(
    "name, has_lengths",
    some(
        [(name, name in WITH_LENGTHS) for name in TRAINING],
        list(itertools.product(TRAINING, [False, True])),
        oldest=[(name, name in WITH_LENGTHS) for name in OF_OLDEST],
    ),
)
def test_training_against_numpy(name, has_lengths, masks, plain_session):
    check_training("graph", name, has_lengths, masks, plain_session)


@NEEDS_NATIVE
@pytest.mark.parametrize(
    "name, has_lengths",
    some(
        [(name, name != "zoneout of c") for name in (*NATIVE, *NATIVE_NORM)],
        list(itertools.product((*NATIVE, *NATIVE_NORM), [False, True])),
        oldest=[(name, True) for name in NATIVE_OF_OLDEST],
    ),
)
def test_training_on_native_against_numpy(name, has_lengths, masks, plain_session):
    check_training("native", name, has_lengths, masks, plain_session)


def check_training(engine, name, has_lengths, masks, plain_session):
    """Outputs, states and all gradients in float64, with the masks that the graph drew."""
    options, lengths = dict(TRAINING, **NATIVE_NORM)[name], LENGTHS if has_lengths else None
    random = np.random.RandomState(0)
    x = random.standard_normal([6, 4, 3])
    lstm = StackedLSTM([3, 3], dtype=tf.float64, seed=SEED, bias_initializer="tn", engine=engine, **options)
    inputs = tf.constant(x)
    state_sizes = [options.get("projection_size") or 3] * 2
    start = [LSTMState(random.standard_normal([4, 3]), random.standard_normal([4, size])) for size in state_sizes]
    starts = [LSTMState(*map(tf.constant, pair)) for pair in start]
    outputs, state = lstm(inputs, lengths, initial_state=starts, time_major=True, training=True)
    d_outputs = random.standard_normal(outputs.shape.as_list())
    d_state = [LSTMState(*[random.standard_normal(part.shape.as_list()) for part in pair]) for pair in state]
    sources = {f"{k} {n}": v for k, w in enumerate(lstm.variables_by_layer.layers) for n, v in w.items()}
    sources.update({f"{k} {f}0": getattr(pair, f) for k, pair in enumerate(starts) for f in "ch"}, x=inputs)
    results = [outputs] + [part for pair in state for part in pair]
    d_results = [tf.constant(d) for d in [d_outputs] + [part for pair in d_state for part in pair]]
    gradients = dict(zip(sources, tf.gradients(results, list(sources.values()), d_results)))
    plain_session.run(tf.global_variables_initializer())
    layers = lstm.get_weights(plain_session).layers
    drawn = masks.by_place(layers=2)
    values = plain_session.run(drawn)
    feed, numpy_arguments = {drawn[place]: values[place] for place in drawn}, numpy_options(values, options, layers=2)
    expected, finals, cache = numpy_lstm.forward(layers, x, start, lengths, **numpy_arguments)
    expected_gradients = flat(numpy_lstm.backward(d_outputs, d_state, cache))
    actual = plain_session.run({"outputs": outputs, "state": state, "gradients": gradients}, feed)
    assert numeric.relative_difference(actual["outputs"], expected) < 1e-12
    for pair, expected_pair in zip(actual["state"], finals):
        numeric.check_same(pair._asdict(), expected_pair._asdict(), 1e-12)
    numeric.check_same(actual["gradients"], expected_gradients, 1e-11 if "layer_norm" in options else 1e-12)


@pytest.mark.parametrize("name", sorted(graphs.PLAIN_STACKS))
def test_a_stack_without_options_has_the_graph_that_it_always_had(name):
    """The digests do not change when options are added. Options that are off, and `training`, add no op."""
    digest = graphs.digest(name)
    version = ".".join(tf.__version__.split(".")[:2])
    if version in graphs.DIGESTS:
        assert digest == graphs.DIGESTS[version][name]
    off = dict.fromkeys(NAMES_OF_RATES, 0.0)
    off.update(layer_norm=False, residual=False, peepholes=False, projection_size=None, cell_clip=None, seed=3)
    assert graphs.digest(name, **off) == digest
    assert graphs.digest(name, recurrent_dropout=0.5, dropout=0.5, input_dropout=0.1, output_dropout=0.2) == digest


DERIVATIVES = {
    "residual, projection and clips": dict(residual=True, projection_size=2, cell_clip=0.5, projection_clip=0.3),
    "peepholes": dict(peepholes=True, cell_clip=0.5),
    "layer norm and zoneout": dict(layer_norm=True, zoneout_c=0.2, zoneout_h=0.3),
    "layer norm of TensorFlow": dict(layer_norm="tensorflow", peepholes=True, projection_size=3),
}


@pytest.mark.parametrize(
    "control_flow, name",
    some(
        [("control_flow_v1", "layer norm and zoneout"), ("control_flow_v2", "residual, projection and clips")],
        list(itertools.product(["control_flow_v1", "control_flow_v2"], DERIVATIVES)),
    ),
    indirect=["control_flow"],
)
def test_second_derivatives_by_central_differences(control_flow, name, plain_session):
    """With a small step, because layer normalization has large third derivatives."""
    problem = derivatives.Problem(plain_session, [4], 2, [5, 3, 0], second=True, **DERIVATIVES[name])
    problem.check_second_derivatives(step=1e-6 if name.startswith("layer norm") else 1e-5)


def test_residual_connections(plain_session):
    """ "after layer 1" adds the input of the layers above; the state has no input in it."""
    lstm = StackedLSTM([3, 3, 3], residual="after layer 1", dtype=tf.float64)
    x = np.random.RandomState(0).standard_normal([2, 4, 3])
    outputs, state = lstm(tf.constant(x))
    plain_session.run(tf.global_variables_initializer())
    layers = lstm.get_weights(plain_session).layers
    h = x.transpose(1, 0, 2)
    for k, layer in enumerate(layers):
        y, (final,), _ = numpy_lstm.forward([layer], h)
        h = y + h if k > 0 else y
    assert numeric.relative_difference(plain_session.run(outputs), h.transpose(1, 0, 2)) < 1e-14
    assert numeric.relative_difference(plain_session.run(state[-1].h), final.h) < 1e-14


@NEEDS_NATIVE
def test_native_runs_what_stands_around_layers():
    """Options around layers, with or without layer normalization, peepholes, a projection and clips."""
    x = tf.zeros([2, 3, 4])
    around = dict(input_dropout=0.1, dropout=0.2, output_dropout=0.3, recurrent_dropout=0.4, residual=True)
    extras = dict(peepholes=True, projection_size=4, cell_clip=1.0, projection_clip=1.0)
    for name, inside in {"plain": {}, "norm": dict(layer_norm=True), "all": dict(layer_norm=True, **extras)}.items():
        lstm = StackedLSTM([4, 4], zoneout_c=0.2, zoneout_h=0.1, name=name, **around, **inside)
        with tf.device("/cpu:0"):
            lstm(x, training=True)
        assert lstm.engine_used.name == "native"


REFUSED = [
    ("norm", dict(layer_norm=True), "it does not support layer normalization"),
    ("zoneout", dict(zoneout_h=0.5), "it does not support zoneout"),
    (
        "candidate",
        dict(recurrent_dropout=0.5, recurrent_dropout_kind="candidate"),
        "it does not support recurrent dropout of the candidate",
    ),
]


RECURRENT = ("recurrent", dict(recurrent_dropout=0.5), "it does not support recurrent dropout")


@pytest.mark.parametrize("name, options, reason", REFUSED + [RECURRENT])
def test_cudnn_refuses_by_name(name, options, reason):
    with pytest.raises(ValueError, match=f"the engine 'cudnn' .asked for by name. cannot run these layers: {reason}"):
        StackedLSTM([4], engine="cudnn", **options)(tf.zeros([1, 1, 2]), training=True)


def test_engines_agree_on_what_stands_around_layers(engine, masks, plain_session):
    """Equal seeds give equal masks and numbers, also on cudnn. The gradients of inputs and weights are equal, too."""
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 6, 3]))
    stacks, results = [], []
    for name in ("graph", engine):
        masks.clear()
        options = dict(input_dropout=0.3, dropout=0.3, output_dropout=0.3, residual=True, seed=SEED, engine=name)
        stacks.append(StackedLSTM([3, 3], dtype=tf.float64, name=f"stack_{len(stacks)}", **options))
        outputs, state = stacks[-1](x, LENGTHS, training=True)
        assert stacks[-1].engine_used.name == name
        results.append([outputs, *tf.nest.flatten(state), *tf.gradients(outputs**2, [x, *stacks[-1].variables])])
    plain_session.run(tf.global_variables_initializer())
    stacks[1].set_weights(plain_session, *stacks[0].get_weights(plain_session))
    for a, b in zip(*plain_session.run(results)):
        assert numeric.relative_difference(a, b) < 1e-12 and np.any(a)


def test_half_precision(plain_session):
    """With `compute_dtype`, all options compute in half precision, and results have the dtype of the variables."""
    options = dict(EVERYTHING, recurrent_dropout=0.0, compute_dtype=tf.float16, engine="graph")
    options.update(dict.fromkeys(NAMES_OF_RATES, 0.0), zoneout_c=0.3, layer_norm=False)
    half, full = StackedLSTM([3, 3], **options), StackedLSTM([3, 3], **dict(options, compute_dtype=None), name="full")
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 6, 3]).astype(np.float32))
    reset = np.arange(6)[None] == np.array([[2], [1], [7], [3]])
    results = [lstm(x, LENGTHS, training=False, return_steps=True, reset=reset) for lstm in (half, full)]
    assert all(tensor.dtype == tf.float32 for tensor in tf.nest.flatten(results))
    plain_session.run(tf.global_variables_initializer())
    full.set_weights(plain_session, *half.get_weights(plain_session))
    actual, expected = plain_session.run(results)
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        assert 0 < numeric.relative_difference(a, b) < 2e-2
    normed = StackedLSTM([3], layer_norm=True, compute_dtype=tf.float16, name="normed")
    outputs, _ = normed(x, training=True)
    plain_session.run(tf.variables_initializer(normed.variables))
    assert np.all(np.isfinite(plain_session.run([outputs, *tf.gradients(outputs, normed.variables)])[0]))
