"""Masks, zoneout and resets on the native engine, for all steps or per step, against the graph engine's own loop.

test_options.py, test_resets.py and test_rnn_cell_dropout_masks.py compare with NumPy.
"""

import itertools

import numpy as np
import pytest

from stacked_lstm import engines
from stacked_lstm.compat import tf
from stacked_lstm.engines import both_directions
from stacked_lstm.engines import graph as graph_engine
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.equations import PLAIN, Extras, LayerNorm, Noise, Resets
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.lstm.normalization import Norm
from stacked_lstm.parity.measure import TOLERANCES
from stacked_lstm.state import LSTMState
from support.engines import native_ops
from support.references import numeric
from support.suite.sets import EXHAUSTIVE, ONCE, some

pytestmark = native_ops.NEEDS_NATIVE

OF_C = ("zoneout_c", "candidate", "cell")
ALL_PER_STEP = dict(recurrent=3, zoneout_c=3, zoneout_h=3, candidate=3, cell=3, resets=3)
NORM_AND_ALL, NORM_AND_NOT_CARRIED = (dict(ALL_PER_STEP, norm=is_carried) for is_carried in (True, False))
# Per layer: units; width of the projection, which comes with peepholes and clips; axes of the fields of `Noise` and of
# the starts after resets; the norm, if there is one, with whether it is carried; whether there are peepholes and a clip
# of c without a projection. Then the number of ops.
MASKS = [dict(candidate=3), dict(candidate=2), dict(recurrent=3), dict(cell=3)]
STATES = [dict(zoneout_c=2), dict(zoneout_c=3), dict(zoneout_h=0), dict(resets=2)]
STACKS = {
    "one op": ([(5, None, dict(recurrent=2)), (17, None, dict(recurrent=3)), (4, None, dict(recurrent=2))], 1),
    "projections": ([(9, 3, dict(recurrent=3)), (18, 11, dict(recurrent=2))], 1),
    "some plain": ([(6, None, dict(recurrent=2)), (6, None, {}), (70, None, dict(recurrent=3))], 3),
    "zoneout": ([(5, None, dict(zoneout_c=3, zoneout_h=3)), (17, None, dict(zoneout_c=0, zoneout_h=2))], 1),
    "zoneout of one": ([(9, None, dict(zoneout_c=2)), (70, None, dict(zoneout_h=3)), (6, 20, dict(zoneout_h=0))], 3),
    "all, projected": ([(9, 3, dict(ALL_PER_STEP, recurrent=2, zoneout_h=2)), (18, 11, ALL_PER_STEP)], 1),
    "candidate": ([(5, None, dict(candidate=3)), (17, None, dict(candidate=2)), (6, 20, dict(candidate=3))], 2),
    "resets": ([(5, None, dict(resets=2)), (17, None, dict(resets=3)), (70, None, dict(resets=2, recurrent=2))], 2),
    "resets, projected": ([(9, 20, dict(resets=3)), (6, 3, dict(resets=2))], 1),
    "masks on c": ([(9, None, dict(cell=3)), (70, None, dict(cell=2, candidate=3)), (6, 3, dict(cell=3))], 3),
    "norm and masks": ([(5 + 4 * k, None, dict(one, norm=k % 2 > 0)) for k, one in enumerate(MASKS)], 4),
    "norm and states": ([(5 + 4 * k, None, dict(one, norm=k % 2 > 0)) for k, one in enumerate(STATES)], 4),
    "norm and all": ([(70, None, dict(NORM_AND_ALL, zoneout_h=2)), (18, None, dict(NORM_AND_ALL, norm=False))], 2),
    "norm and all in one op": ([(70, None, dict(NORM_AND_ALL, zoneout_h=2)), (18, None, NORM_AND_ALL)], 1),
    "norm and all in one op, projected": ([(9, 3, NORM_AND_NOT_CARRIED), (70, 90, NORM_AND_NOT_CARRIED)], 1),
    "norm and all, projected": ([(9, 3, dict(NORM_AND_ALL, zoneout_h=2)), (70, 90, dict(NORM_AND_ALL, norm=False))], 2),
}


SEEDS = [(seed,) for seed in range(12)]


def random_layers(description, steps, batch, dtype):
    """Returns `Layer`s of constants, their states, and all tensors that have gradients."""
    random, inputs, layers, states, sources = np.random.RandomState(0), 4, [], [], []

    def constant(*shape):
        sources.append(tf.constant(0.5 * random.standard_normal(shape), dtype))
        return sources[-1]

    def series(field, axes, units, width):
        if field == "resets":
            starts = [constant(*[steps, batch, size][3 - axes :]) for size in (units, width)]
            return Resets(tf.constant(random.uniform(size=[steps, batch]) < 0.3), LSTMState(*starts))
        tensor = constant(*[steps, batch, units if field in OF_C else width][3 - axes :])
        return tf.sigmoid(tensor) if field in ("zoneout_c", "zoneout_h") else tensor  # Shares are from 0 to 1.

    for units, projection, fields in description:
        width, extras, fields = projection or units, PLAIN, dict(fields)
        norm, has_peepholes, has_clip = (fields.pop(field, None) for field in ("norm", "peepholes", "cell_clip"))
        if projection:
            extras = Extras([constant(units) for _ in range(3)], 0.6, constant(units, projection), 0.4)
        elif has_peepholes or has_clip:
            peepholes = [constant(units) for _ in range(3)] if has_peepholes else None
            extras = PLAIN._replace(peepholes=peepholes, cell_clip=0.6 if has_clip else None)
        noise = {field: series(field, axes, units, width) for field, axes in fields.items()}
        kernels, biases = [constant(inputs + width, 4 * units)], [] if norm is not None else [constant(4 * units)]
        if norm is not None:
            norms = [Norm(1 + constant(*shape), constant(*shape), 0.1) for shape in ([4, units], [units])]
            norm = LayerNorm(*norms, is_carried=norm)
        resets = noise.pop("resets", None)
        layer = Layer(inputs, units, kernels, biases, extras=extras, resets=resets, norm=norm)
        layers.append(layer._replace(noise=Noise(**noise)))
        states.append([constant(batch, units), constant(batch, width)])
        inputs = width
    return layers, states, sources


def results(engine, layers, x, states, sources, lengths, from_end=False):
    """Outputs, final states, and the gradients of all tensors, with those of the masks."""
    if from_end and engine == "graph":
        outputs, finals = both_directions.run(graph_engine.run, layers, x, states, lengths, len(layers))
    else:
        run = engines.ENGINES[engine].run_from_end if from_end else engines.ENGINES[engine].run_layers
        outputs, finals = run(layers, x, states, lengths)
    loss = tf.reduce_sum(outputs**2) + sum(tf.reduce_sum(tf.sin(part)) for part in tf.nest.flatten(finals))
    return [outputs, finals, tf.gradients(loss, [x] + sources)]


SIZES = [(6, 5, "float64"), (3, 40, "float32"), (90, 2, "float64")]
QUICK = [(stack, *SIZES[k % 3]) for k, stack in enumerate(sorted(STACKS))]


@pytest.mark.parametrize(
    "stack, steps, batch, dtype",
    some(QUICK, [(stack, *sizes) for stack in sorted(STACKS) for sizes in SIZES], oldest=QUICK[:4]),
)
def test_against_graph(stack, steps, batch, dtype, graph, plain_session):
    """Some sizes are enough for several threads. Some sequences have no steps."""
    check_against_graph(*STACKS[stack], steps, batch, dtype, graph, plain_session)


@pytest.mark.parametrize("stack, steps, batch, dtype", some(QUICK[::3], QUICK, oldest=QUICK[:1]))
def test_from_the_end_against_graph(stack, steps, batch, dtype, graph, plain_session):
    """The graph engine reads reversed inputs, masks, shares, resets and starts."""
    arguments = STACKS[stack][0], None, steps, batch, dtype, graph, plain_session
    for has_lengths in (True, False):
        check_against_graph(*arguments, from_end=True, has_lengths=has_lengths)


@pytest.mark.parametrize("seed", some(SEEDS[:2], SEEDS, oldest=SEEDS[:1]))
def test_random_combinations_against_graph(seed, graph, plain_session):
    """Of masks, zoneout, resets, norms, peepholes, projections and clips; every second one reads from the end."""
    random = np.random.RandomState(seed)

    def layer():
        fields = {field: random.choice([2, 3]) for field in ALL_PER_STEP if random.uniform() < 0.5}
        fields.update((field, True) for field in ("peepholes", "cell_clip") if random.uniform() < 0.5)
        if random.uniform() < 0.7:
            fields["norm"] = bool(random.randint(2))
        return random.choice([3, 17, 40]), random.choice([None, 5, 20]), fields

    check_against_graph([layer(), layer()], None, 5, 6, "float64", graph, plain_session, from_end=seed % 2 > 0)


def check_against_graph(
    description, op_count, steps, batch, dtype, graph, plain_session, from_end=False, has_lengths=True
):
    layers, states, sources = random_layers(description, steps, batch, dtype)
    random = np.random.RandomState(1)
    x = tf.constant(random.standard_normal([steps, batch, 4]), dtype)
    lengths = tf.constant(np.maximum(random.randint(-1, steps + 1, [batch]), 0), tf.int32)
    lengths = lengths if has_lengths else None
    both = [results(engine, layers, x, states, sources, lengths, from_end) for engine in ("native", "graph")]
    ops = [op for op in graph.get_operations() if op.type == "StackedLstmForward"]
    assert len(ops) == op_count or not op_count
    for actual, expected in zip(*map(tf.nest.flatten, plain_session.run(both))):
        assert actual.shape == expected.shape
        assert numeric.relative_difference(actual, expected) < TOLERANCES[dtype]


@pytest.mark.parametrize(
    "control_flow, engine, fields",
    [
        ("control_flow_v1", "native", dict(recurrent=3)),
        pytest.param("control_flow_v1", "graph", dict(recurrent=3), marks=ONCE),
        ("control_flow_v1", "native", ALL_PER_STEP),
        pytest.param("control_flow_v2", "native", ALL_PER_STEP, marks=EXHAUSTIVE),
        pytest.param("control_flow_v2", "native", NORM_AND_ALL, marks=EXHAUSTIVE),
        pytest.param("control_flow_v1", "native", dict(NORM_AND_ALL, projection=3, from_end=True), marks=ONCE),
    ],
    indirect=["control_flow"],
)
def test_second_derivatives_by_central_differences(control_flow, engine, fields, plain_session):
    """With recurrent dropout of h alone, both engines differentiate the step by hand."""
    fields = dict(fields)
    projection, from_end = fields.pop("projection", None), fields.pop("from_end", False)
    for_all_steps = {field: 2 for field in fields if field != "norm"}
    if "norm" in fields:
        for_all_steps["norm"] = False
    layers, states, sources = random_layers([(5, projection, for_all_steps), (4, projection, fields)], 4, 3, "float64")
    random, size = np.random.RandomState(9), 1e-6
    value, direction = random.standard_normal([2, 4, 3, 4])
    x = tf.placeholder(tf.float64, value.shape)
    first = results(engine, layers, x, states, sources, tf.constant([4, 2, 1]), from_end)[2]
    product = tf.add_n([tf.reduce_sum(d * random.standard_normal(d.shape.as_list())) for d in first])
    (second,) = tf.gradients(product, [x])
    actual = plain_session.run(tf.reduce_sum(second * direction), {x: value})
    above, below = (plain_session.run(product, {x: value + sign * size * direction}) for sign in (1, -1))
    assert abs(actual) > 1 and actual == pytest.approx((above - below) / (2 * size), rel=1e-7)


def test_drawn_masks_multiply_those_of_noise(general_engine, plain_session):
    """Also of the candidate. The masks after the last step multiply the final state."""
    (layer,), (state,), _ = random_layers([(6, None, dict(recurrent=2, cell=3, candidate=2))], 5, 3, "float64")
    masks = [tf.constant(np.random.RandomState(k).uniform(size=[5, 3, 6])) for k in range(3)]
    h_masks, c_masks = (dropout_masks.after_ones(mask) for mask in masks[:2])
    noise = Noise(*[mask * old for mask, old in zip((h_masks[:-1], c_masks[:-1], masks[2]), layer.noise)])
    drawing = layer._replace(
        draw_h_masks=lambda shape: h_masks,
        draw_c_masks=lambda shape: c_masks,
        draw_candidate_masks=lambda shape: masks[2],
    )
    x, run = tf.ones([5, 3, 4], tf.float64), engines.ENGINES[general_engine].run
    outputs, final = run(layer._replace(noise=noise), x, state)
    expected = outputs, (final.c * c_masks[-1], final.h * h_masks[-1])
    for actual, value in zip(*map(tf.nest.flatten, plain_session.run([run(drawing, x, state), expected]))):
        np.testing.assert_array_equal(actual, value)


@pytest.mark.parametrize("fields", [ALL_PER_STEP, NORM_AND_ALL], ids=["plain", "norm"])
@pytest.mark.parametrize("steps, batch", [(0, 2), (3, 0)])
def test_nothing_to_run(steps, batch, fields, plain_session):
    """The initial states are the final ones, and gradients of weights and masks are zero."""
    layers, states, sources = random_layers([(6, None, fields), (5, None, fields)], steps, batch, "float64")
    x = tf.zeros([steps, batch, 4], tf.float64)
    outputs, finals, gradients = plain_session.run(results("native", layers, x, states, sources, None))
    np.testing.assert_array_equal(outputs, np.zeros([steps, batch, 5]))
    values = plain_session.run(states)
    for pair, expected in zip(finals, values):
        np.testing.assert_array_equal(pair, expected)
    is_state = [any(source is part for pair in states for part in pair) for source in sources]
    for source, gradient, state in zip(sources, gradients[1:], is_state):
        assert gradient.shape == tuple(source.shape.as_list())
        assert state or not np.any(gradient)


@pytest.mark.parametrize("shape", [[2, 5], [6], [4, 2, 6], [3, 2, 5]])
def test_wrong_shapes(shape, session):
    """They are checked when the graph runs, too."""
    plain, states, _ = random_layers([(6, None, {})], 3, 2, "float32")
    normalized, _, _ = random_layers([(6, None, dict(norm=True))], 3, 2, "float32")
    tensors = tf.zeros(shape), tf.placeholder_with_default(tf.zeros(shape), None)
    for wrong, field, layer in itertools.product(tensors, ALL_PER_STEP, plain + normalized):
        if field == "resets":
            start = LSTMState(tf.zeros([2, 6]), wrong)
            layer = layer._replace(resets=Resets(tf.zeros([3, 2], tf.bool), start))
        else:
            layer = layer._replace(noise=Noise(**{field: wrong}))
        with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
            session.run(engines.ENGINES["native"].run_layers([layer], tf.zeros([3, 2, 4]), states)[0])


@pytest.mark.parametrize("shape", [[4, 2], [3, 3], [3], [3, 2, 6]])
def test_resets_of_wrong_shapes(shape, session):
    layers, states, _ = random_layers([(6, None, dict(resets=2))], 3, 2, "float32")
    layers += random_layers([(6, None, dict(resets=2, norm=True))], 3, 2, "float32")[0]
    wrong = tf.zeros(shape, tf.bool), tf.placeholder_with_default(np.zeros(shape, bool), None)
    for flags, layer in itertools.product(wrong, layers):
        layer = layer._replace(resets=layer.resets._replace(is_reset=flags))
        with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
            session.run(engines.ENGINES["native"].run_layers([layer], tf.zeros([3, 2, 4]), states)[0])
