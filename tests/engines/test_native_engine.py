"""The native engine against NumPy: shapes around the edges of tiles, activations, lengths, and work that it skips."""

import re
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stacked_lstm import StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.engines.native import engine as native_engine
from stacked_lstm.stack import weights
from support.engines import native_ops
from support.engines.native_ops import layer_names, results
from support.references import numeric
from support.suite.sets import ONCE
from support.suite.versions import OLD

pytestmark = native_ops.NEEDS_NATIVE
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


def expected(values, activation="tanh", recurrent_activation="sigmoid"):
    """What a `native_ops.Layer` computes, by `numpy_lstm`."""
    layer_count = native_ops.count_layers(values)
    names = weights.KERNEL_NAMES + weights.BIAS_NAMES
    layers = [
        {name: values[key] for name, key in zip(names, layer_names(names, k)) if key in values}
        for k in range(layer_count)
    ]
    states = [[values[name] for name in layer_names(["c", "h", "d_c", "d_h"], k)] for k in range(layer_count)]
    outputs, finals, cache = numpy_lstm.forward(
        layers, values["x"], [state[:2] for state in states], values.get("lengths"), activation, recurrent_activation
    )
    gradients = numpy_lstm.backward(values["d_outputs"], [state[2:] for state in states], cache)
    results = {"outputs": outputs, "x": gradients["x"]}
    for k in range(layer_count):
        results.update(zip(layer_names(["c", "h"], k), finals[k]))
        results.update(zip(layer_names(["c0", "h0"], k), gradients["initial_state"][k]))
        results.update(zip(layer_names(gradients["layers"][k], k), gradients["layers"][k].values()))
    return results


def check(got, reference, dtype):
    """Differences are relative to the largest number, or to 1 if that is larger, because sums may cancel."""
    assert sorted(got) == sorted(reference)
    for name, value in reference.items():
        size = max(1, np.max(np.abs(value), initial=0))
        assert got[name].shape == value.shape and got[name].dtype == dtype, name
        assert np.max(np.abs(got[name] - value), initial=0) <= TOLERANCES[dtype] * size, name


@pytest.fixture(scope="module")
def layers():
    """Function from (dtype, values) to results. Each kind of layer has one graph, which has no sizes."""
    layers_by_kind = {}

    def compute(dtype, values):
        layer_count = native_ops.count_layers(values)
        kind = dtype, "lengths" in values, layer_count
        if kind not in layers_by_kind:
            with tf.Graph().as_default() as graph:
                layers_by_kind[kind] = (
                    native_ops.build(dtype, lengths=kind[1], layers=layer_count),
                    tf.Session(graph=graph),
                )
        layer, session = layers_by_kind[kind]
        return results(layer, values, session)

    yield compute
    for _, session in layers_by_kind.values():
        session.close()


# Small sizes, and sizes around the edges of vectors (16, 8 or 4 units), panels of 4 vectors, and tiles of 6 or 3 rows.
SIZES = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 47, 48, 63, 64, 65, 67, 129]))


@ONCE
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 6),
    st.one_of(st.integers(0, 14), st.sampled_from([35, 36, 37])),
    st.one_of(st.just(0), SIZES),
    SIZES,
    st.booleans(),
    st.sampled_from(sorted(TOLERANCES)),
)
def test_shapes(layers, T, B, I, H, lengths, dtype):  # noqa: E741
    values = native_ops.random_values(T + B + I + H, T, B, I, H, lengths)
    check(layers(dtype, values), expected(values), dtype)


@ONCE
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(st.integers(0, 3), st.integers(20, 40)),
    st.integers(1, 9),
    st.integers(0, 20),
    st.lists(SIZES, min_size=2, max_size=4),
    st.booleans(),
    st.sampled_from(sorted(TOLERANCES)),
)
def test_stacks(layers, T, B, I, H, lengths, dtype):  # noqa: E741
    """Some of these stacks run each layer in its own thread."""
    values = native_ops.random_values(T + B + I + sum(H), T, B, I, H, lengths)
    check(layers(dtype, values), expected(values), dtype)


@ONCE
@pytest.mark.parametrize(
    "T, B, I, H", [(100, 3, 20, 50), (3, 700, 5, 40), (500, 5, 9, 33), (300, 1, 7, [20, 33, 16]), (20, 50, 9, [80, 70])]
)
def test_long_and_wide(T, B, I, H, layers):  # noqa: E741
    """More steps and sequences than one part of the backward pass has, and enough work for several threads."""
    values = native_ops.random_values(0, T, B, I, H)
    numeric.check_same(layers("float64", values), expected(values), 1e-12)
    numeric.check_same(layers("float32", values), expected(values), 1e-5)


@ONCE
@pytest.mark.parametrize("recurrent_activation", native_engine.ACTIVATIONS)
@pytest.mark.parametrize("activation", native_engine.ACTIVATIONS)
def test_activations(activation, recurrent_activation, session):
    values = native_ops.random_values(0, 5, 4, 3, 18)
    layer = native_ops.build("float64", activation=activation, recurrent_activation=recurrent_activation)
    numeric.check_same(results(layer, values, session), expected(values, activation, recurrent_activation), 1e-12)


@pytest.mark.parametrize("dtype", sorted(TOLERANCES))
def test_functions_are_accurate(dtype, session):
    """tanh and sigmoid to two units in the last place: c = sigmoid(bi) tanh(bc), with one factor equal to 1."""
    z = np.concatenate([np.linspace(-12, 12, 700), np.geomspace(1e-12, 1, 150), [-1e30, -1000, 0, 1000, 1e30]])
    z, zeros = z.astype(dtype), np.zeros([len(z)])
    values = {name: zeros[None] for name in "ch"}
    values.update({name: np.zeros([len(z), len(z)]) for name in ("Wi", "Wc", "Wf", "Wo")})
    values.update(x=np.zeros([1, 1, 0]), bi=zeros + 1000, bc=z, bf=zeros, bo=zeros + 1000)
    layer = native_ops.build(dtype, lengths=False)
    for name, other, function in (("bc", "bi", np.tanh), ("bi", "bc", numpy_lstm.sigmoid)):
        values.update({name: z, other: zeros + 1000})
        got = session.run(layer.results["c"], {layer.feeds[key]: value for key, value in values.items()})[0]
        exact = function(z.astype(np.longdouble if name == "bc" else np.float64))
        last_place = np.finfo(dtype).eps * np.abs(exact) + np.finfo(dtype).tiny
        assert np.all(np.abs(got - exact) <= 2 * last_place), name


@pytest.mark.parametrize("biases", [False, True])
def test_one_kernel_for_all_gates(biases, session):
    values = native_ops.random_values(0, 5, 4, 3, 18)
    if not biases:
        values = {name: value for name, value in values.items() if name[0] != "b"}
    separate = results(native_ops.build("float64", biases=biases), values, session)
    numeric.check_same(separate, expected(values), 1e-12)
    if biases:
        fused_values = native_ops.fused(values)
        with tf.Graph().as_default() as graph, tf.Session(graph=graph) as other:
            combined = results(native_ops.build("float64", fused=True), fused_values, other)
        regrouped = native_ops.fused(separate)
        for name in ("outputs", "x", "c0", "h0", "kernel", "bias"):
            np.testing.assert_array_equal(combined[name], regrouped[name])


@pytest.mark.parametrize("garbage", [np.nan, np.inf])
def test_garbage_in_the_padding(garbage, layers):
    clean = native_ops.random_values(0, 7, 9, 3, 18)
    dirty = {name: value.copy() for name, value in clean.items()}
    past_end = np.arange(7)[:, None] >= clean["lengths"]
    dirty["x"][past_end] = dirty["d_outputs"][past_end] = garbage
    for name, value in layers("float64", dirty).items():
        np.testing.assert_array_equal(value, layers("float64", clean)[name])


def test_nan_is_not_hidden(layers):
    values = native_ops.random_values(0, 3, 4, 3, 18, lengths=False)
    values["x"][1, 2, 0] = np.nan
    outputs = layers("float32", values)["outputs"]
    assert np.all(np.isnan(outputs[1:, 2])) and np.all(np.isfinite(outputs[:, [0, 1, 3]]))


def test_the_same_bits_every_time(layers):
    """The way in which threads share the work changes nothing. native_kernels.cc has other numbers of threads."""
    values = native_ops.random_values(0, 20, 30, 40, 50)
    first = layers("float32", values)
    for _ in range(10):
        for name, value in layers("float32", values).items():
            np.testing.assert_array_equal(value, first[name])


def test_eight_sessions_at_once():
    values = native_ops.random_values(0, 20, 30, 40, 50)
    reference, actual = expected(values), []

    def work():
        with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
            layer = native_ops.build("float64")
            actual.append([results(layer, values, session) for _ in range(10)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(actual) == 8
    for session_results in actual:
        for got in session_results:
            numeric.check_same(got, reference, 1e-12)


def output_bytes(session, fetches, feed):
    """Type of op -> total bytes of outputs, for the ops that one run executed."""
    metadata = tf.RunMetadata()
    session.run(fetches, feed, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), metadata)
    actual = {}
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            size = sum(output.tensor_description.allocation_description.requested_bytes for output in node.output)
            kind = re.sub(r".* = (\w+)\(.*", r"\1", node.timeline_label)  # After optimization: "name = type(inputs)".
            actual[kind] = actual.get(kind, 0) + size
    return actual


@pytest.mark.skipif(OLD, reason="TensorFlow 1.15 does not tell ops what is read")
def test_only_what_is_read_is_made(session):
    """Inference makes no cache. A run that fetches the gradient of the input makes no gradients of weights."""
    x = tf.placeholder(tf.float32, [10, 6, 64])
    lstm = StackedLSTM([64], engine="native")
    outputs, _ = lstm(x, time_major=True)
    gradients = tf.gradients(outputs, [x, lstm.layers[0].Wf])
    session.run(tf.global_variables_initializer())
    feed = {x: np.zeros([10, 6, 64])}
    fetches = outputs, gradients[0], gradients
    inference, input_only, both = (output_bytes(session, fetch, feed) for fetch in fetches)
    step = 6 * 64 * 4
    assert "StackedLstmBackward" not in inference and inference["StackedLstmForward"] <= 13 * step
    assert input_only["StackedLstmForward"] >= 60 * step
    assert input_only["StackedLstmBackward"] < 14 * step < 4 * 128 * 64 * 4 < both["StackedLstmBackward"]


def test_a_cache_keeps_its_memory_while_it_is_read(session):
    """A later call uses the memory of an earlier cache only after the program has dropped the array."""
    x = tf.placeholder(tf.float32, [20, 16, 8])
    outputs, _ = StackedLSTM([64], engine="native")(x, time_major=True)
    (forward,) = [op for op in session.graph.get_operations() if op.type == "StackedLstmForward"]
    session.run(tf.global_variables_initializer())
    first = session.run(forward.outputs[-1], {x: np.ones([20, 16, 8])})
    copy = first.copy()
    for value in (-1.0, 0.0, 2.0):
        later = session.run(forward.outputs[-1], {x: np.full([20, 16, 8], value)})
        np.testing.assert_array_equal(first, copy)
        assert not np.array_equal(first, later)


@pytest.mark.parametrize("projection_size", [None, 33])
def test_weights_of_a_frozen_graph_are_packed_once(projection_size, session):
    """TensorFlow's constant folding packs them, even if units and projections do not fill whole vectors."""
    x = tf.placeholder(tf.float32, [None, None, 205])
    outputs, _ = StackedLSTM([100, 35], projection_size=projection_size, engine="native")(x)
    session.run(tf.global_variables_initializer())
    feed = np.random.RandomState(0).standard_normal([2, 3, 205])
    assert output_bytes(session, outputs, {x: feed})["StackedLstmPack"] == 0  # It does nothing; the engine's op packs.
    frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, [outputs.op.name])
    expected_outputs = session.run(outputs, {x: feed})
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as other:
        x, outputs = tf.import_graph_def(frozen, return_elements=[x.name, outputs.name], name="")
        np.testing.assert_array_equal(other.run(outputs, {x: feed}), expected_outputs)
        actual = output_bytes(other, outputs, {x: feed})
        assert "StackedLstmForward" in actual and "StackedLstmPack" not in actual


def test_second_derivatives_in_a_branch_of_control_flow_v1(plain_session):
    lstm = StackedLSTM([3], dtype=tf.float64, engine="native")
    x = tf.constant(np.linspace(-1, 1, 24).reshape(2, 4, 3))
    lstm.build(3)
    assert not tf.control_flow_v2_enabled()
    inside = tf.cond(tf.placeholder_with_default(True, []), lambda: lstm(x)[0], lambda: tf.zeros([2, 4, 3], tf.float64))
    actual = []
    for outputs in (inside, lstm(x)[0]):
        first = tf.gradients(tf.reduce_sum(outputs**2), lstm.variables)
        actual.append(first + tf.gradients(sum(tf.reduce_sum(g**2) for g in first), [x] + lstm.variables))
    plain_session.run(tf.global_variables_initializer())
    found = ({str(k): value for k, value in enumerate(values)} for values in plain_session.run(actual))
    numeric.check_same(*found, 1e-12)


def test_second_derivatives_need_shapes():
    layer = native_ops.build("float64", lengths=False)
    with pytest.raises(ValueError, match="second derivatives of the engine 'native' need weights of known shapes"):
        tf.gradients(layer.results["x"], layer.feeds["x"])


@pytest.mark.parametrize(
    "options",
    [{}, {"projection_size": 3}, {"peepholes": True}, {"layer_norm": True}, {"initial_state": "learned"}],
    ids=["plain", "projection", "peepholes", "norms", "resets"],
)
@pytest.mark.parametrize(
    "shape, reference", [((1, 100000), "native"), ((100000, 1), "graph")], ids=["steps", "sequences"]
)
def test_gradients_of_weights_are_sums_of_many_addends(shape, reference, options, plain_session):
    """Sums of 100,000 addends in float32 are as exact as those of parts.

    Against float64: on `graph`, which would take long for 100,000 steps, or on `native`, whose sums over fewer steps
    other tests compare with references.
    """
    random = np.random.RandomState(7)

    def weights(shape, dtype, partition_info=None):
        return tf.constant(random.uniform(-0.5, 0.5, shape).astype("f"), dtype)

    widths = (3, options.get("projection_size", 4))
    x, d = [(1 + random.standard_normal([*shape, n])).astype("f") for n in widths]
    reset = random.random_sample(shape) < 0.5 if "initial_state" in options else None
    gradients = []
    for dtype, engine in ((tf.float32, "native"), (tf.float64, reference)):
        random.seed(8)
        initializers = {"weight_initializer": weights, "bias_initializer": weights}
        lstm = StackedLSTM([4], dtype=dtype, name=f"stack_{dtype.name}", engine=engine, **initializers, **options)
        outputs, _ = lstm(tf.constant(x / 8, dtype), reset=reset)
        gradients.append(tf.gradients(outputs, lstm.variables, tf.constant(d, dtype)))
    plain_session.run(tf.global_variables_initializer())
    for gradient, expected in zip(*plain_session.run(gradients)):
        assert numeric.relative_difference(gradient, expected) < 3e-6
