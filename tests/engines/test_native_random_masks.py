"""Random masks by native ops: their bits are those of TensorFlow's ops. Their gradients, and the choice of the ops.

native_random_mask.cc tests the kernel alone. test_options.py tests the share of entries that is kept.
"""

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import engines, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines import mask_ops
from stacked_lstm.engines.native import library
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.dropout_masks import TensorSeed
from support.engines import native_ops
from support.networks.some_cells import random
from support.references import numeric

pytestmark = native_ops.NEEDS_NATIVE

OPS = ("RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2")
NATIVE_OPS = ("StackedLstmRandomMask", "StackedLstmStatelessRandomMask")


def by_native():
    return mask_ops.choose("native", lambda: [])


def drawing_ops():
    """The types of the ops in the default graph that draw numbers or masks, except for initial values."""
    ops = [op for op in tf.get_default_graph().get_operations() if op.type in OPS + NATIVE_OPS]
    return {op.type for op in ops if "Initializer" not in op.name}


# Sizes around those of vectors, blocks and pieces, and one that is work for several threads.
SHAPES = [[1], [3], [127], [128], [129], [0, 3], [5, 7, 9], [4097], [35, 20, 100]]
SEEDS = [1, 2**31 + 5, TensorSeed(-7, "place")]


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_bits(dtype):
    """Of all runs of a session: a stateful op goes on where its last run ended."""

    def draw():
        """Masks of dropout and noise of zoneout, drawn under a seed of the graph."""
        masks = []
        for seed in SEEDS:
            for shape in SHAPES:
                masks.append(dropout_masks.draw(tf.constant(shape), 0.7, seed, dtype))
                masks.append(dropout_masks.zoneout(tf.constant(shape), 0.3, seed, dtype))
        rates = tf.placeholder(dtype, [])
        masks.append(dropout_masks.zoneout_if(rates < 1, tf.constant([40]), 0.5 * rates, 5, dtype))
        masks.append(dropout_masks.draw(tf.constant([2, 9]), 1 - rates, 4, dtype, ones=3))
        return rates, masks

    tf.set_random_seed(8)
    expected_rate, expected = draw()
    with by_native():
        rate, masks = draw()
    assert drawing_ops() >= {NATIVE_OPS[0], NATIVE_OPS[1], "RandomUniform"}
    assert [mask.shape.as_list() for mask in masks] == [mask.shape.as_list() for mask in expected]
    with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=2)) as session:
        for value in (0.4, 0.0, 1.0, 0.4):  # A run in which nothing is random counts, too.
            results = session.run([masks, expected], {rate: value, expected_rate: value})
            for actual, other in zip(*results):
                np.testing.assert_array_equal(actual, other)
            assert np.all(results[0][-1][:3] == 1)
            kept = {mask.size: np.mean(mask != 0) for mask in results[0] if mask.size}
        assert abs(kept[4097] - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4097)  # Of the last one, which is zoneout's.


def test_seeds_of_op_and_graph():
    """Both seeds, one of them, or none, as TensorFlow's op has them."""
    for graph_seed in (None, 3):
        for seed in (None, 0, 5):
            attributes, draws = [], []
            for op_type, draw in (
                ("RandomUniform", lambda: tf.random_uniform([40], seed=seed)),
                (NATIVE_OPS[0], lambda: dropout_masks.zoneout([40], 0.5, seed, tf.float32)),
            ):
                with tf.Graph().as_default() as graph, by_native():
                    tf.set_random_seed(graph_seed)
                    tensors = [draw(), draw()]
                    ops = [op for op in graph.get_operations() if op.type == op_type]
                    attributes.append([(op.get_attr("seed"), op.get_attr("seed2")) for op in ops])
                    for _ in range(2):
                        with tf.Session() as session:
                            draws.append(session.run(tensors))
            case = graph_seed, seed
            assert len(attributes[1]) == 2, case
            if graph_seed is None or seed is not None:  # TensorFlow's seed otherwise depends on the number of ops.
                assert attributes[0] == attributes[1], case
            assert (graph_seed, seed) == (None, None) or attributes[1][0] != (0, 0), case
            is_same = np.array_equal(draws[2], draws[3])
            assert is_same == np.array_equal(draws[0], draws[1]) == (case != (None, None)), case


def test_gradients_with_respect_to_the_probability(plain_session):
    """Those of TensorFlow's ops: kept entries are divided by it. A rate of zoneout has one only without training."""
    keep_prob, training, x = (
        tf.placeholder(tf.float64, []),
        tf.placeholder(tf.bool, []),
        tf.constant(random([4, 5], dtype=np.float64)),
    )
    results = []
    for native in (True, False):
        with by_native() if native else mask_ops.choose("graph", lambda: []):
            mask = dropout_masks.draw([3, 5], keep_prob, 2, tf.float64, ones=1)
            noise = dropout_masks.zoneout([4, 5], keep_prob, 3, tf.float64)
            share = dropout_masks.zoneout_if(training, [4, 5], 1 - keep_prob, 4, tf.float64)
        loss = tf.reduce_sum(tf.sin(x * (mask * noise + share)))
        (gradient,) = tf.gradients(loss, keep_prob)
        results.append([loss, gradient, *tf.gradients(gradient, keep_prob)])
        assert tf.gradients(noise, keep_prob) == [None]
    for value in (0.6, 1.0):
        for is_training in (False, True):
            for actual, expected in zip(*plain_session.run(results, {keep_prob: value, training: is_training})):
                assert numeric.relative_difference(actual, expected) < 1e-12


def test_masks_of_ones_share_memory(plain_session):
    """A program may write to what it has fetched. Masks of ones come from memory that the next ones use again."""
    keep_prob = tf.placeholder(tf.float32, [])
    with by_native():
        masks = [dropout_masks.draw(shape, keep_prob, 2, tf.float32) for shape in ([9, 7], [40, 9, 7], [0, 3], [])]
        masks.append(dropout_masks.zoneout_if(keep_prob < 1, [9, 7], 1.0, 2, tf.float32))
    masks.append(masks[0] * 3)
    for value in (1.0, 0.5, 1.0):
        arrays = plain_session.run(masks, {keep_prob: value})
        if value == 1:
            for array, size in zip(arrays, (63, 2520, 0, 1, 63)):
                np.testing.assert_array_equal(array, np.ones(array.shape))
                assert array.size == size
            np.testing.assert_array_equal(arrays[-1], np.full([9, 7], 3))
            for array in arrays[:-1]:
                array *= 5


def test_states_without_dropout_have_the_bits_of_plain_cells(plain_session):
    """The op skips masks of ones, except if it must compute their gradient, which is that of the graph engine."""
    keep_prob, x = tf.placeholder(tf.float64, []), tf.constant(random([5, 3, 4], dtype=np.float64))
    initializer = tf.random_uniform_initializer(-0.5, 0.5, seed=3)
    fetches = []
    for engine in ("native", "graph", "plain"):
        with tf.variable_scope("rnn", reuse=tf.AUTO_REUSE, initializer=initializer):
            cells = [rnn_cell.LSTMCell(size) for size in (6, 5)]
            if engine != "plain":
                wrap = rnn_cell.DropoutWrapper
                cells = [wrap(cell, state_keep_prob=keep_prob, seed=k) for k, cell in enumerate(cells)]
            cell, engine_name = rnn_cell.MultiRNNCell(cells), engine.replace("plain", "native")
            outputs, state = rnn_cell.dynamic_rnn(cell, x, dtype=x.dtype, time_major=True, engine=engine_name)
        loss = tf.reduce_sum(tf.sin(outputs)) + tf.reduce_sum(state[0].c * state[1].h[:, :1])
        weights = tf.gradients(loss, tf.trainable_variables())
        fetches.append((outputs, tf.nest.flatten(state), weights, tf.gradients(loss, [keep_prob])))
    plain_session.run(tf.global_variables_initializer())
    flat = [tf.nest.flatten(fetch) for fetch in fetches]
    for value in (0.6, 1.0):
        native, graph, plain = plain_session.run([*flat[:2], flat[2][:-1]], {keep_prob: value})
        for actual, expected in zip(native, graph):
            assert numeric.relative_difference(actual, expected) < 1e-12
        if value == 1:
            without_gradient = plain_session.run(flat[0][:-1], {keep_prob: value})
            for actual, also_actual, expected in zip(native, without_gradient, plain):
                np.testing.assert_array_equal(actual, expected)
                np.testing.assert_array_equal(also_actual, expected)


OPTIONS = dict(dropout=0.3, zoneout_c=0.1, zoneout_h=0.2, output_dropout=0.1, seed=4)
OPTIONS.update(recurrent_dropout=0.2, recurrent_dropout_kind="candidate")


def stack(x, engine):
    lstm = stacked_lstm.StackedLSTM([6, 5], engine=engine, name=engine, **OPTIONS)
    return lstm(x, training=True, time_major=True)[0]


def stateless_stack(x, engine):
    lstm = stacked_lstm.StackedLSTM([6, 5], engine=engine, name=engine, **dict(OPTIONS, seed=tf.constant(9)))
    return lstm(x, training=True, time_major=True)[0]


def both_directions(x, engine):
    lstm = stacked_lstm.BidirectionalLSTM([6, 5], engine=engine, name=engine, **OPTIONS)
    return lstm(x, training=True, time_major=True)[0]


def wrapper(x, engine):
    """Dropout of h and c, in a cell whose state is one tensor."""
    cells = [rnn_cell.LSTMCell(size, state_is_tuple=False) for size in (6, 5)]
    cells = [rnn_cell.DropoutWrapper(cell, 0.9, 0.8, 0.7, seed=k) for k, cell in enumerate(cells)]
    cell = rnn_cell.MultiRNNCell(cells, state_is_tuple=False)
    with tf.variable_scope(engine):
        return rnn_cell.dynamic_rnn(cell, x, dtype=x.dtype, time_major=True, engine=engine)[0]


def cudnn_layers(x, engine):
    layers = rnn_cell.CudnnLSTM(2, 5, direction="bidirectional", dropout=0.3, seed=2, name=engine)
    return layers(x, training=True, engine=engine)[0]


@pytest.mark.parametrize("network", [stack, stateless_stack, both_directions, wrapper, cudnn_layers])
def test_masks_of_engines_are_equal(network, session):
    """With equal seeds, in the second run, too."""
    x, graphs = tf.constant(random([7, 3, 4])), []
    outputs = []
    for engine in ("graph", "native"):
        before = set(tf.get_default_graph().get_operations())
        outputs.append(network(x, engine))
        graphs.append({op.type for op in set(tf.get_default_graph().get_operations()) - before})
    assert not graphs[0].intersection(NATIVE_OPS) and graphs[1].intersection(NATIVE_OPS)
    assert not {"GreaterEqual"} & graphs[1] or network is stateless_stack
    variables = tf.trainable_variables()
    half = len(variables) // 2
    session.run(tf.global_variables_initializer())
    for k in range(half):
        value = 0.5 * random(session.run(tf.shape(variables[k])), k)
        for variable in (variables[k], variables[half + k]):
            variable.load(value, session)
    runs = [session.run(outputs) for _ in range(2)]
    for expected, actual in runs:
        assert numeric.relative_difference(actual, expected) < 1e-5
        np.testing.assert_array_equal(actual == 0, expected == 0)
    if network is not stateless_stack:
        assert numeric.relative_difference(*[run[1] for run in runs]) > 0.01


def swish(x):
    return x * tf.sigmoid(x)


def call(engine="auto", device=None, cell_device=None, **options):
    """The types of the ops that draw in a call of a stack, and in one of a cell with dropout."""
    with tf.Graph().as_default(), tf.device(device):
        x = tf.zeros([2, 3, 4], options.get("dtype", tf.float32))
        stacked_lstm.StackedLSTM([4], zoneout_c=0.5, output_dropout=0.5, engine=engine, **options)(x, training=True)
        if not options:
            cell = rnn_cell.LSTMCell(4)
            cell = rnn_cell.DropoutWrapper(
                rnn_cell.DeviceWrapper(cell, cell_device) if cell_device else cell, 0.5, 1, 0.5
            )
            rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, engine=engine)
        return drawing_ops()


# What a program asks for -> whether native ops draw.
CHOICES = [
    (dict(), True),
    (dict(engine="native"), True),
    (dict(engine="graph"), False),
    (dict(device="/cpu:0"), True),
    (dict(device="/job:worker"), False),
    (dict(device="/job:worker", engine="native"), True),
    (dict(cell_device="/cpu:0"), True),
    (dict(dtype=tf.float16), False),
    (dict(dtype=tf.float64), True),
    (dict(compute_dtype=tf.bfloat16), False),
    (dict(activation=swish), False),
    (dict(layer_norm=True), True),
    (dict(layer_norm=True, cell_clip=1.0), True),
]


def test_which_ops_draw(monkeypatch):
    """The package's ops only where `native` runs: graphs of other engines run in every program."""
    for arguments, is_native in CHOICES:
        assert call(**arguments) == {NATIVE_OPS[0] if is_native else "RandomUniform"}, arguments
    assert call(cell_device="/job:worker") == {NATIVE_OPS[0], "RandomUniform"}  # Of the stack, and of the cell.
    monkeypatch.setenv(engines.ENVIRONMENT_VARIABLE, "graph")
    assert call() == {"RandomUniform"}


def test_inside_control_flow(control_flow):
    """XLA may compile functions and loops."""
    x = tf.zeros([2, 3, 4])
    lstm = stacked_lstm.StackedLSTM([4], dropout=0.5, input_dropout=0.5)
    lstm.build(4)
    outputs = tf.cond(tf.constant(True), lambda: lstm(x, training=True)[0], lambda: x)
    functions = tf.get_default_graph().as_graph_def().library.function
    nodes = {node.op for function in functions for node in function.node_def} | drawing_ops()
    assert "RandomUniform" in nodes and not nodes.intersection(NATIVE_OPS)
    assert outputs.shape.as_list() == [2, 3, 4]


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(library, "problem", lambda: "there is no compiler")
    assert call() == {"RandomUniform"}


@pytest.mark.parametrize(
    "inputs, words",
    [
        (dict(shape=[2, -1]), "sizes of at least 0, got -1"),
        (dict(shape=2), "the sizes of the mask"),
        (dict(shape=[], ones=1), "the sizes of the mask"),
        (dict(shape=[2**30, 2**30, 2**30]), "too large|overflow|too many|elements"),
        (dict(threshold=[0.5]), "`threshold` of shape"),
        (dict(value=[[0.5]]), "`value` of shape"),
        (dict(seeds=[1, 2, 3]), "`seeds` of shape"),
    ],
)
def test_bad_inputs(inputs, words, plain_session):
    values = dict(dict(shape=[2], threshold=0.5, value=1.0), **inputs)
    ones = values.pop("ones", 0)
    dtypes = dict(shape=tf.int32, threshold=tf.float32, value=tf.float32, seeds=tf.int64)
    feeds = {name: tf.placeholder(dtypes[name]) for name in values}
    ops = library.load()
    draw = ops.stacked_lstm_stateless_random_mask if "seeds" in values else ops.stacked_lstm_random_mask
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        plain_session.run(draw(ones=ones, **feeds), {feeds[name]: value for name, value in values.items()})


def test_shapes_of_the_op():
    """Sizes that are known when the graph is built; contradictions are errors then."""
    draw = library.load().stacked_lstm_random_mask
    size = tf.placeholder(tf.int32, [])
    assert draw(tf.stack([size, 4]), 0.5, 1.0, ones=1).shape.as_list() == [None, 4]
    assert draw([2, 4], 0.5, 1.0, ones=3).shape.as_list() == [5, 4]
    for arguments in (([2], [0.5], 1.0), ([2], 0.5, [1.0]), (2, 0.5, 1.0)):
        with pytest.raises(ValueError):
            draw(*arguments)
