"""CudnnLSTM against the code of TensorFlow 1.15 (golden files), cuDNN's equations in NumPy, and the cells it equals."""

import numpy as np
import pytest

from golden.by_contrib_cudnn import DIRECTIONS, LAYERS, LENGTHS, UNITS
from golden.files import path
from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.cudnn import cudnn_parameters
from support.networks import drawn_noise
from support.networks.some_cells import random, values
from support.references import cudnn_in_numpy
from support.suite.places import with_every_engine

X = random([5, 3, 4])

with_directions = pytest.mark.parametrize("direction", DIRECTIONS)


def golden(direction):
    with np.load(path("tensorflow_1_15", "cudnn_layers.npz")) as archive:
        return {name.split("/")[1]: archive[name] for name in archive.files if name.startswith(direction)}


def checkpoint(direction):
    return path("tensorflow_1_15", f"cudnn_layers_{direction}.ckpt")


def results_of(lstm, arrays, **options):
    state = tf.constant(arrays["initial_h"]), tf.constant(arrays["initial_c"])
    outputs, (h, c) = lstm(tf.constant(arrays["inputs"]), state, sequence_lengths=LENGTHS, **options)
    loss = sum(tf.reduce_sum(tensor * tf.sin(tensor)) for tensor in (outputs, h, c))
    return {"outputs": outputs, "h": h, "c": c, "gradient": tf.gradients(loss, lstm.kernel)[0]}


def assert_golden(actual, arrays):
    for name, array in actual.items():
        np.testing.assert_allclose(array, arrays[name], rtol=1e-5, atol=1e-6, err_msg=name)


@with_directions
@with_every_engine
def test_checkpoint_of_tensorflow_1_15(engine, direction, place, plain_session):
    """All of a checkpoint restores, or only what CudnnCompatibleLSTMCells saved of it."""
    arrays = golden(direction)
    lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction)
    results = results_of(lstm, arrays, engine=engine)
    assert rnn_cell.engine_used(results["outputs"]).name == engine
    with tf.device("/cpu:0"):  # GPUs have no kernel for strings.
        savers = tf.train.Saver(), tf.train.Saver([lstm.saveable])
    for saver in savers:
        plain_session.run(tf.global_variables_initializer())
        saver.restore(plain_session, checkpoint(direction))
        assert_golden(plain_session.run(results), arrays)


@with_directions
def test_saver_writes_what_tensorflow_1_15_writes(direction, tmp_path, session):
    lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction)
    lstm(tf.constant(golden(direction)["inputs"]))
    saver = tf.train.Saver()
    saver.restore(session, checkpoint(direction))
    written = tf.train.load_checkpoint(saver.save(session, str(tmp_path / "lstm.ckpt")))
    expected = tf.train.load_checkpoint(checkpoint(direction))
    assert set(written.get_variable_to_shape_map()) == set(expected.get_variable_to_shape_map())
    matrices = sum(int(np.prod(shape)) for shape in lstm.canonical_weight_shapes)
    for name in expected.get_variable_to_shape_map():
        # The variable has pairs of biases. A restored network has the sums of the pairs, as `kernel` and `bias` do.
        arrays = [reader.get_tensor(name) for reader in (written, expected)]
        arrays = [array[:matrices] for array in arrays] if name.endswith("opaque_kernel") else arrays
        np.testing.assert_allclose(*arrays, rtol=1e-6, atol=1e-7, err_msg=name)


@with_directions
def test_compatible_cells_continue_and_hand_back(direction, tmp_path, session):
    """Training moves between CudnnLSTM and the cells, on the loops of this package."""
    arrays = golden(direction)
    with tf.variable_scope("cudnn_lstm"):
        cells = [[rnn_cell.CudnnCompatibleLSTMCell(UNITS) for _ in range(LAYERS)] for _ in range(2)]
        options = {"dtype": tf.float32, "time_major": True, "sequence_length": LENGTHS}
        x = tf.constant(arrays["inputs"])
        if direction == "unidirectional":
            outputs, _ = rnn_cell.dynamic_rnn(rnn_cell.MultiRNNCell(cells[0]), x, **options)
        else:
            outputs, _, _ = rnn_cell.stack_bidirectional_dynamic_rnn(*cells, x, **options)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(tf.square(outputs)))
    saver = tf.train.Saver()
    saver.restore(session, checkpoint(direction))
    session.run(train)
    expected, trained = session.run(outputs), saver.save(session, str(tmp_path / "cells.ckpt"))
    with tf.Graph().as_default(), tf.Session() as other:
        lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction)
        outputs, _ = lstm(tf.constant(arrays["inputs"]), sequence_lengths=LENGTHS)
        tf.train.Saver([lstm.saveable]).restore(other, trained)
        np.testing.assert_allclose(other.run(outputs), expected, rtol=1e-5, atol=1e-6)


def test_kernels_in_a_checkpoint_win_over_another_order_of_the_variable(tmp_path, session):
    """A GPU's cuDNN may have its own order; TensorFlow 1.15 leaves open which of the two is assigned last."""
    direction = "bidirectional"
    reader = tf.train.load_checkpoint(checkpoint(direction))
    with tf.Graph().as_default(), tf.Session() as other:
        names = reader.get_variable_to_shape_map()
        arrays = {name: reader.get_tensor(name) for name in names}
        arrays["cudnn_lstm/opaque_kernel"] = arrays["cudnn_lstm/opaque_kernel"][::-1]
        variables = {name: tf.Variable(array, name=name) for name, array in arrays.items()}
        other.run(tf.global_variables_initializer())
        shuffled = tf.train.Saver(variables).save(other, str(tmp_path / "shuffled.ckpt"))
    lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction)
    results = results_of(lstm, golden(direction))
    saver = tf.train.Saver()
    for _ in range(10):
        saver.restore(session, shuffled)
        assert_golden(session.run(results), golden(direction))


@pytest.mark.parametrize("use_resource", [False, True])
@with_directions
def test_initial_weights(direction, use_resource, session):
    """The bits of TensorFlow 1.15 for a seed."""
    tf.set_random_seed(5)
    with tf.variable_scope("scope", use_resource=use_resource, partitioner=tf.fixed_size_partitioner(2)):
        lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction, seed=3)
        lstm.build([None, None, 3])
    assert lstm.kernel.op.name == "scope/cudnn_lstm/opaque_kernel"
    np.testing.assert_array_equal(values(session, lstm.kernel), golden(direction)["initial"])


def test_the_variable_is_cudnn_s_buffer(session):
    """NumPy reads it as NVIDIA documents it, and computes with cuDNN's equations."""
    lstm = rnn_cell.CudnnLSTM(2, 6, dtype=tf.float64, bias_initializer=tf.random_normal_initializer(seed=3))
    outputs, (h, c) = lstm(X, sequence_lengths=[5, 2, 4])
    params, actual = values(session, [lstm.kernel, [outputs, h, c]])
    zeros = np.zeros([2, 3, 6])
    expected = cudnn_in_numpy.forward(X.astype(np.float64), zeros, zeros, params, np.array([5, 2, 4]))[:3]
    for array, reference in zip(actual, expected):
        np.testing.assert_allclose(array, reference, rtol=1e-12, atol=1e-14)


@with_directions
def test_pack_is_the_inverse_of_unpack(direction, session):
    shapes = cudnn_parameters.Shapes(3, UNITS, LAYERS, num_dirs=1 + DIRECTIONS.index(direction))
    reader = tf.train.load_checkpoint(checkpoint(direction))
    kernels, biases = cudnn_parameters.unpack(tf.constant(reader.get_tensor("cudnn_lstm/opaque_kernel")), shapes)
    packed = cudnn_parameters.pack(kernels, biases, shapes)
    actual, expected = session.run([cudnn_parameters.unpack(packed, shapes), [kernels, biases]])
    for arrays, others in zip(actual, expected):
        for array, other in zip(arrays, others):
            np.testing.assert_allclose(array, other, rtol=1e-6)
    assert shapes.size == packed.shape.as_list()[0]


@with_directions
def test_saveable_instead_of_a_converter(direction, session):
    """It does what CudnnParamsFormatConverterLSTM does: variable to kernels and biases, and back."""
    lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction)
    lstm(tf.zeros([5, 3, 4]))
    tensors = [spec.tensor for spec in lstm.saveable.specs]
    directions = 1 + DIRECTIONS.index(direction)
    assert [tensor.shape.ndims for tensor in tensors] == [2] * LAYERS * directions + [1] * LAYERS * directions
    session.run(tf.global_variables_initializer())
    arrays = [random(tensor.shape.as_list()) for tensor in tensors]
    session.run(lstm.saveable.restore([tf.constant(array, tf.float32) for array in arrays], None))
    for array, other in zip(session.run(tensors), arrays):
        np.testing.assert_allclose(array, other, rtol=1e-6)


@with_directions
def test_batch_major(direction, session):
    """Inputs, outputs and states have the batch first."""
    arrays = golden(direction)
    lstm = rnn_cell.CudnnLSTM(LAYERS, UNITS, direction=direction)
    time_major = lstm(arrays["inputs"], (arrays["initial_h"], arrays["initial_c"]), LENGTHS)
    state = tuple(arrays[name].swapaxes(0, 1) for name in ("initial_h", "initial_c"))
    batch_major = lstm(arrays["inputs"].swapaxes(0, 1), state, LENGTHS, time_major=False)
    expected, actual = values(session, [time_major, batch_major])
    for array, reference in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        np.testing.assert_allclose(array.swapaxes(0, 1), reference, rtol=1e-5, atol=1e-7)
    lstm(arrays["inputs"].swapaxes(0, 1), time_major=False)  # TensorFlow 1.15 makes zeros of a wrong shape here.
    assert len(tf.global_variables()) == 1


@with_directions
def test_dropout(direction, session):
    """It acts between layers, in training."""
    lstm = rnn_cell.CudnnLSTM(2, 100, direction=direction, dropout=0.25, seed=1)
    x = tf.constant(random([10, 20, 7]))
    outputs, evaluation = lstm(x)[0], lstm(x, training=False)[0]
    plain = rnn_cell.CudnnLSTM(2, 100, direction=direction)
    with tf.variable_scope(lstm.scope_name, reuse=True):
        expected = plain(x, scope=tf.get_variable_scope())[0]
    assert plain.kernel is lstm.kernel and plain.saveable is None
    first, second = values(session, [outputs, evaluation]), session.run([outputs, evaluation, expected])
    assert np.abs(first[0] - second[0]).max() > 0.01 and np.abs(first[0] - first[1]).max() > 0.01
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_allclose(second[1], second[2], rtol=1e-5, atol=1e-6)
    single, _ = rnn_cell.CudnnLSTM(1, 100, direction=direction, dropout=0.25)(x)
    one, other = values(session, single), session.run(single)
    np.testing.assert_array_equal(one, other)


def test_share_of_dropped_outputs(session):
    """One number per step, sequence and unit of the first layer; a quarter of them is dropped."""
    lstm = rnn_cell.CudnnLSTM(2, 50, dropout=0.25, seed=1)
    outputs, _ = lstm(tf.constant(random([10, 20, 7])))
    (drawn,) = [tensor for tensor in drawn_noise.tensors() if "opaque" not in tensor.name]
    is_mask = drawn.op.type == drawn_noise.MASK_OP
    drawn, _ = values(session, [drawn, outputs])
    kept, count = np.sum(drawn > 0 if is_mask else drawn >= 0.25), drawn.size
    assert count == 10 * 20 * 50 and abs(kept - 0.75 * count) < 5 * np.sqrt(count * 0.75 * 0.25)


def test_names_and_scopes():
    """Those that TensorFlow 1.15.5 gives in the same program."""

    def saved(lstm):
        return lstm.saveable.specs[0].name.replace("/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell/kernel", "")

    def make(**options):
        return rnn_cell.CudnnLSTM(1, 4, **options)

    first, second = make(), make()
    first(X), second(X)
    assert [lstm.kernel.name for lstm in (first, second)] == [
        "cudnn_lstm/opaque_kernel:0",
        "cudnn_lstm_1/opaque_kernel:0",
    ]
    assert saved(first), saved(second) == ("cudnn_lstm", "cudnn_lstm_1")
    with tf.variable_scope("a"):
        built = make(name="x")
        built.build([5, 2, 4])
    built(X)
    assert (built.scope_name, saved(built)) == ("a/x", "a")
    with tf.variable_scope("b"):
        make()(X)
    with tf.variable_scope("b", reuse=tf.AUTO_REUSE):
        again = make()
        again(X)
    assert again.kernel.op.name == "b/cudnn_lstm/opaque_kernel" and len(tf.global_variables()) == 4
    named = make()
    named(X, scope="given")
    assert (named.scope_name, saved(named), named.saveable.name) == ("given", "given", "given/opaque_kernel_saveable")
    assert len(tf.get_collection(tf.GraphKeys.SAVEABLE_OBJECTS)) == 5
    tf.train.Saver()


def test_messages_name_the_argument_of_the_lengths(plain_session):
    lstm, fed = rnn_cell.CudnnLSTM(1, 4), tf.placeholder(tf.int32, [None])
    message = "^CudnnLSTM: expected `sequence_lengths` "
    x, sparse = tf.zeros([5, 2, 3]), tf.SparseTensor([[0]], [1], [2])
    for lengths in ([6, 1], [1.0, 2.0], [1], sparse):
        with pytest.raises(ValueError, match=message):
            lstm(x, sequence_lengths=lengths)
    outputs, _ = lstm(x, sequence_lengths=fed, engine="graph")
    plain_session.run(tf.global_variables_initializer())
    for lengths in ([6, 1], [-1, 1], [1, 2, 3]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="CudnnLSTM: expected `sequence_lengths` "):
            plain_session.run(outputs, {fed: lengths})


def test_a_scope_as_name():
    """As TensorFlow 1.15.5 does."""
    with tf.variable_scope("a"), tf.variable_scope("b") as scope:
        pass
    with tf.variable_scope("outer"):
        lstm = rnn_cell.CudnnLSTM(1, 4, name=scope)
        lstm(X)
    assert (lstm.name, lstm.kernel.op.name) == ("cudnn_lstm_1", "outer/a/b/opaque_kernel")


def test_attributes():
    lstm = rnn_cell.CudnnLSTM(2, 4, direction="bidirectional", dtype=tf.float64)
    for name in ("input_size", "scope_name"):
        with pytest.raises(ValueError):
            getattr(lstm, name)
    outputs, (h, c) = lstm(X)
    assert (lstm.num_layers, lstm.num_units, lstm.num_dirs, lstm.input_size) == (2, 4, 2, 4)
    assert (lstm.input_mode, lstm.direction, lstm.rnn_mode) == ("linear_input", "bidirectional", "lstm")
    assert (lstm.name, lstm.dtype, lstm.built, outputs.dtype) == ("cudnn_lstm_1", "float64", True, tf.float64)
    assert lstm.state_shape(3) == ([4, 3, 4], [4, 3, 4]) == (h.shape.as_list(), c.shape.as_list())
    assert lstm.variables == lstm.weights == lstm.trainable_variables == lstm.trainable_weights == [lstm.kernel]
    assert lstm.non_trainable_variables == lstm.non_trainable_weights == []
    assert lstm.canonical_weight_shapes[:9] == [(4, 4)] * 9 and len(lstm.canonical_weight_shapes) == 32
    assert lstm.canonical_weight_shapes[16] == (4, 8) and lstm.canonical_bias_shapes == [[4]] * 32


def test_errors():
    def make(*arguments, **options):
        return rnn_cell.CudnnLSTM(1, 4, *arguments, **options)

    lstm = make(name="lstm")
    lstm(X)
    for function, message in (
        (lambda: make(direction="both"), "Invalid direction: both, expecting unidirectional or bidirectional"),
        (lambda: make("skip"), r"Invalid input_mode: skip, expect one of \(linear_input, skip_input, auto_select\)"),
        (lambda: make("skip_input"), "CudnnLSTM: expected `input_mode` to be 'linear_input', got 'skip_input'"),
        (lambda: make("auto_select")(X), "inputs of width 4, the number of units, got 'auto_select', which means"),
        (lambda: make(dtype=tf.int32), "Only support float16, float32, float64, provided <dtype: 'int32'>"),
        (lambda: make(dropout=1.0), "CudnnLSTM: expected a `dropout` of at least 0 and less than 1, got 1.0"),
        (lambda: make()(X[0]), "Expecting input_shape with 3 dims, got 2"),
        (lambda: make().build([5, 2, None]), "The last dimension of the inputs to `CudnnRNN` should be defined"),
        (lambda: lstm(X[:, :, :2]), "CudnnLSTM: expected inputs of width 4, as in its first call, got shape"),
        (lambda: lstm(tf.zeros([5, 3, 4], tf.float64)), "`inputs` of dtype float32"),
        (lambda: lstm(X, (X, X)), r"\(h, c\) of tensors of shape \(1, 3, 4\), got tensors of shape \(5, 3, 4\) and"),
        (lambda: lstm(X, sequence_lengths=[1, 2]), "one length per sequence"),
        (lambda: lstm(X, engine="stepwise"), "`engine` to be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            function()
    for function, message in (
        (lambda: lstm(X, [1, 2]), r"Invalid initial_state type: \[1, 2\], expecting tuple"),
        (lambda: lstm(X, training=tf.constant(True)), "expected `training` to be True or False, got"),
    ):
        with pytest.raises(TypeError, match=message):
            function()
    make("auto_select")(X[:, :, :2])
    lstm(X, training=np.bool_(False))
