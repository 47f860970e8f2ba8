"""`return_steps=True`: states and gates of all time steps, against NumPy; and their summaries."""

import itertools

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm, summaries
from stacked_lstm.compat import tf
from stacked_lstm.engines import both_directions
from stacked_lstm.engines import graph as graph_engine
from stacked_lstm.lstm.equations import Noise
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.stack.steps import Record, replay
from stacked_lstm.state import LSTMSteps
from support.engines.native_ops import NEEDS_NATIVE
from support.networks.random_networks import LENGTHS, random_layers
from support.references import numeric
from support.suite.sets import ONCE, some

OPTIONS = {
    "plain": {},
    "no biases": dict(use_bias=False, activation="relu"),
    "layer norm": dict(layer_norm=True),
    "everything": dict(
        layer_norm="tensorflow",
        residual=True,
        projection_size=3,
        peepholes=True,
        cell_clip=0.6,
        zoneout_c=0.3,
        zoneout_h=0.2,
    ),
}


def numpy_options(options):
    names = set(options) & {"cell_clip", "zoneout_c", "zoneout_h", "residual", "layer_norm"}
    return [numpy_lstm.LayerOptions(**{name: options[name] for name in names})] * 2


@pytest.mark.parametrize(
    "name, time_major",
    some(
        [(name, bool(k % 2)) for k, name in enumerate(OPTIONS)],
        list(itertools.product(OPTIONS, [False, True])),
    ),
)
def test_against_numpy(name, time_major, plain_session):
    """Also with gradients: a loss of all fields has the central differences of NumPy's."""
    options, lengths = OPTIONS[name], None if name == "no biases" else LENGTHS
    random = np.random.RandomState(0)
    lstm = StackedLSTM([3, 3], dtype=tf.float64, bias_initializer="tn", **options)
    x = random.standard_normal([6, 4, 3])
    inputs = tf.constant(x if time_major else x.transpose(1, 0, 2))
    outputs, state, steps = lstm(inputs, lengths, time_major=time_major, return_steps=True)
    weights_of_loss = [[random.standard_normal([6, 4, 3]) for _ in LSTMSteps._fields] for _ in steps]
    order = [0, 1, 2] if time_major else [1, 0, 2]
    parts = [
        tf.reduce_sum(part * w.transpose(order))
        for layer, ws in zip(steps, weights_of_loss)
        for part, w in zip(layer, ws)
    ]
    gradients = tf.gradients(tf.add_n(parts), [inputs, lstm.layers[0].Wi])
    plain_session.run(tf.global_variables_initializer())
    layers = lstm.get_weights(plain_session).layers
    activation = options.get("activation", "tanh")

    def run_numpy():
        return numpy_lstm.forward(layers, x, None, lengths, activation, options=numpy_options(options))

    expected_outputs, _, cache = run_numpy()
    expected = numpy_lstm.steps(cache)
    actual = plain_session.run([outputs, state, steps, gradients])
    assert numeric.relative_difference(actual[0].transpose(order), expected_outputs) < 1e-12
    for layer, expected_layer in zip(actual[2], expected):
        parts = {field: value.transpose(order) for field, value in layer._asdict().items()}
        numeric.check_same(parts, expected_layer._asdict(), 1e-12)

    def loss():
        results = numpy_lstm.steps(run_numpy()[2])
        return sum(np.sum(p * w) for layer, ws in zip(results, weights_of_loss) for p, w in zip(layer, ws))

    expected_gradients = [numeric.gradient_by_differences(loss, array) for array in (x, layers[0]["Wi"])]
    tolerance = 1e-4 if "layer_norm" in options else 1e-6  # Central differences of a normalization are less exact.
    assert numeric.relative_difference(actual[3][0].transpose(order), expected_gradients[0]) < tolerance
    assert numeric.relative_difference(actual[3][1], expected_gradients[1]) < tolerance


@pytest.mark.parametrize(
    "control_flow, engine_name, name",
    [
        ("control_flow_v1", "graph", "plain"),
        pytest.param("control_flow_v1", "native", "everything", marks=NEEDS_NATIVE),
        pytest.param("control_flow_v2", "graph", "everything", marks=ONCE),
    ],
    indirect=["control_flow"],
)
def test_second_derivatives_by_central_differences(control_flow, engine_name, name, plain_session):
    sizes = [3] if name == "everything" else [3, 3]  # TensorFlow takes seconds to build second derivatives.
    lstm = StackedLSTM(sizes, dtype=tf.float64, engine=engine_name, weight_initializer="xavier", **OPTIONS[name])
    random, size = np.random.RandomState(0), 1e-5
    x, (value, factors, direction) = tf.placeholder(tf.float64, [4, 5, 3]), random.standard_normal([3, 4, 5, 3])
    _, _, steps = lstm(x, [5, 2, 0, 4], return_steps=True)
    loss = tf.add_n([tf.reduce_sum(tf.sin(part) * (k + 1)) for k, part in enumerate(tf.nest.flatten(steps))])
    product = tf.reduce_sum(tf.gradients(loss, x)[0] * factors)
    (second,) = tf.gradients(product, x)
    plain_session.run(tf.global_variables_initializer())
    actual = np.sum(plain_session.run(second, {x: value}) * direction)
    above, below = (plain_session.run(product, {x: value + sign * size * direction}) for sign in (1, -1))
    assert abs(actual) > 0.1 and actual == pytest.approx((above - below) / (2 * size), rel=1e-5)


def test_with_masks(plain_session):
    """While training: h is the input of the next layer, and c and h end in the final state."""
    rates = dict(recurrent_dropout=0.5, zoneout_c=0.5, zoneout_h=0.5, output_dropout=0.5)
    for kind in ("variational", "candidate"):
        lstm = StackedLSTM([3, 3], recurrent_dropout_kind=kind, dtype=tf.float64, name=kind, seed=1, **rates)
        x = tf.constant(np.random.RandomState(0).standard_normal([4, 6, 3]))
        _, state, steps = lstm(x, training=True, return_steps=True)
        plain_session.run(tf.global_variables_initializer())
        finals, layers = plain_session.run([state, steps])
        for final, layer in zip(finals, layers):
            assert numeric.relative_difference(layer.c[:, -1], final.c) < 1e-14
            np.testing.assert_array_equal(layer.h[:, -1], final.h)
            candidate = layer.f[:, 1:] * layer.c[:, :-1] + layer.i[:, 1:] * layer.g[:, 1:]
            kept = np.isclose(layer.c[:, 1:], layer.c[:, :-1], rtol=1e-12, atol=0)
            assert 0.2 < np.mean(kept) < 0.8 and np.all(
                kept | np.isclose(layer.c[:, 1:], candidate, rtol=1e-10, atol=0)
            )
        assert (np.mean(layers[0].g == 0) > 0.3) == (kind == "candidate")


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("shape", [[6, 4, 3], [4, 3]], ids=["per step", "for all steps"])
def test_with_masks_of_states(shape, from_end, plain_session):
    """Masks of h and of c, besides zoneout of c: the last c and its gradients are those of the engine."""
    random, lengths = np.random.RandomState(0), [6, 2, 1, 4]
    masks = [tf.constant(2.0 * random.randint(2, size=shape), tf.float64) for _ in range(2)]
    kernel, bias, x = (tf.constant(random.standard_normal(size)) for size in ([6, 12], [12], [6, 4, 3]))
    layer = Layer(3, 3, [kernel], [bias], noise=Noise(recurrent=masks[0], cell=masks[1], zoneout_c=0.3))
    start, ends = LSTMState(*tf.unstack(tf.constant(random.uniform(size=[2, 4, 3])))), tf.constant(lengths)
    outputs, (final,) = both_directions.run(graph_engine.run, [layer], x, [start], ends, from_end=int(from_end))
    (series,) = replay([Record(layer, x, outputs)], [start], ends, time_major=True, from_end=from_end)
    last = tf.gather_nd(series.c, [[0 if from_end else length - 1, b] for b, length in enumerate(lengths)])
    results = [[c] + tf.gradients(tf.reduce_sum(tf.sin(c)), [x, kernel, *masks, *start]) for c in (last, final.c)]
    for actual, expected in zip(*plain_session.run(results)):
        assert numeric.relative_difference(actual, expected) < 1e-12


@NEEDS_NATIVE
@pytest.mark.parametrize("engine_name", ["graph", "native"])
def test_engines_run_as_without(engine_name, plain_session):
    """Outputs and states keep their engine and, up to rounding, their numbers. Nothing is added if steps are off."""
    lstm = StackedLSTM([3, 3], engine=engine_name)
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 6, 3]).astype(np.float32))
    start = [LSTMState(tf.ones([4, 3]), tf.ones([4, 3]))] * 2
    outputs, state, steps = lstm(x, [6, 0, 1, 4], start, return_steps=True)
    assert lstm.engine_used.name == engine_name
    plain, _ = lstm(x, [6, 0, 1, 4], start)
    plain_session.run(tf.global_variables_initializer())
    actual, expected, (_, last), final = plain_session.run([outputs, plain, steps, state[-1]])
    assert numeric.relative_difference(actual, expected) < 1e-6
    np.testing.assert_array_equal(last.h, actual)
    assert numeric.relative_difference(last.c[0, -1], final.c[0]) < 1e-6
    assert not np.any(last.c[1]) and not np.any(last.f[2, 1:]) and np.all(last.f[0])


def test_unknown_sizes(plain_session):
    x = tf.placeholder(tf.float32, [None, None, 2])
    _, _, (steps,) = StackedLSTM([3], layer_norm=True)(
        x, tf.placeholder(tf.int32, [None], "lengths"), return_steps=True
    )
    plain_session.run(tf.global_variables_initializer())
    for length in (5, 1):
        feed = {x: np.ones([2, length, 2]), "lengths:0": [length, 0]}
        assert plain_session.run(steps.f, feed).shape == (2, length, 3)


def test_bad_flag():
    with pytest.raises(ValueError, match="stacked_lstm: expected `return_steps` to be True or False, got 1"):
        StackedLSTM([2])(tf.zeros([1, 1, 1]), return_steps=1)


def test_numpy_steps_continue_in_the_next_layer():
    """h of a layer is the input of the next one; f, i, g and c satisfy the equation of the cell state."""
    random = np.random.RandomState(0)
    layers, x = random_layers(random, [3, 2], 2), random.standard_normal([6, 4, 2])
    outputs, state, cache = numpy_lstm.forward(layers, x, None, LENGTHS)
    first, second = numpy_lstm.steps(cache)
    np.testing.assert_array_equal(second.h, outputs)
    alone = numpy_lstm.steps(numpy_lstm.forward(layers[1:], first.h, None, LENGTHS)[2])[0]
    numeric.check_same(alone._asdict(), second._asdict(), 0)
    alive = np.arange(1, 6)[:, None, None] < np.array(LENGTHS)[:, None]
    expected = np.where(alive, second.f[1:] * second.c[:-1] + second.i[1:] * second.g[1:], 0)
    assert numeric.relative_difference(second.c[1:], expected) < 1e-15
    np.testing.assert_array_equal(second.c[[5, 0, 3], [0, 2, 3]], state[1].c[[0, 2, 3]])


@pytest.mark.parametrize("time_major", [False, True])
def test_summaries(time_major, plain_session):
    """A histogram without padding, and an image, unit by time, of the first sequence."""
    x = tf.ones([5, 2, 3] if time_major else [2, 5, 3])
    _, _, steps = StackedLSTM([4, 6])(x, [5, 2], time_major=time_major, return_steps=True)
    merged = summaries.gates(steps, [5, 2], time_major, name="look")
    plain_session.run(tf.global_variables_initializer())
    text, forget = plain_session.run([merged, steps[1].f])
    values = {value.tag: value for value in tf.Summary.FromString(text).value}
    fields = [f"look/layer_{k}/{field}" for k in (1, 2) for field in LSTMSteps._fields]
    assert {tag for tag in values if "image" not in tag} == set(fields)
    image = values["look/layer_2/f/image"].image
    assert (image.height, image.width, image.colorspace) == (6, 5, 1)
    pixels = plain_session.run(tf.image.decode_png(image.encoded_image_string))[..., 0]
    first = (forget[:, 0] if time_major else forget[0]).T
    np.testing.assert_array_equal(pixels, np.round(np.float32(first) * 255))
    if values["look/layer_2/f"].HasField("histo"):
        assert values["look/layer_2/f"].histo.num == 6 * (5 + 2)


def test_summaries_of_something_else():
    with pytest.raises(
        ValueError, match="summaries.gates: expected `steps` to be a sequence of LSTMSteps, one per layer"
    ):
        summaries.gates(tf.zeros([1, 2, 3]))


@pytest.mark.parametrize("options", [{}, {"peepholes": True, "zoneout_c": 0.2}, {"layer_norm": True}])
def test_no_time_steps(options, plain_session):
    x = tf.placeholder(tf.float32, [None, None, 3])
    _, state, (steps,) = StackedLSTM([4], **options)(x, return_steps=True, training=True)
    plain_session.run(tf.global_variables_initializer())
    arrays, (final,) = plain_session.run([steps, state], {x: np.ones([2, 0, 3])})
    assert {array.shape for array in arrays} == {(2, 0, 4)} and not np.any(final.c)
    values = tf.Summary.FromString(plain_session.run(summaries.gates([steps]), {x: np.ones([2, 0, 3])})).value
    images = [value.image for value in values if value.HasField("image")]
    assert [(image.height, image.width) for image in images] == [(4, 1)] * 6
