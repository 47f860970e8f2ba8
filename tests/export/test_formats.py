"""Every format, with the program that it is for: the numbers of the session that wrote the file."""

import itertools

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import checkpoints, export
from stacked_lstm.compat import tf
from stacked_lstm.engines import mask_ops
from stacked_lstm.export import frozen, portable
from stacked_lstm.lstm import dropout_masks
from support.engines.native_ops import NEEDS_NATIVE
from support.networks import exports
from support.references.numeric import relative_difference
from support.suite import sets

NATIVE = pytest.param("native", marks=NEEDS_NATIVE)
ENGINES = ["graph", NATIVE]
SAVED_MODEL = ["saved_model", "saved_model_eager"]
TENSORFLOW = ["frozen_graph", *SAVED_MODEL]
TOLERANCE = 1e-5

with_programs = pytest.mark.parametrize("program", list(exports.PROGRAMS))
with_engines = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    with exports.witness_in(tmp_path_factory.mktemp("witness")) as process:
        yield process


def check(program, network, session, folder, witness, sizes=(3, 9)):
    """Exports a network; the program computes what the session does, also for other sizes than the example's."""
    exports.skip_if_missing(program)
    inputs, outputs = network
    exports.set_random(session)
    format, _ = exports.PROGRAMS[program]
    path = folder / exports.NAMES[format]
    example = exports.random_inputs(inputs, (4, 6))
    differences = export.write(session, inputs, outputs, path, example)
    assert sorted(differences) == sorted(outputs) and max(differences.values()) < TOLERANCE
    arrays = exports.random_inputs(inputs, (4, 6) if format == "tflite" else sizes, seed=8)
    expected = session.run(outputs, {inputs[name]: array for name, array in arrays.items()})
    results = witness.run(program, path, arrays, outputs)
    for name in outputs:
        assert results[name].dtype == expected[name].dtype, name
        assert relative_difference(results[name], expected[name]) < TOLERANCE, name
    return path


STACKS = list(itertools.product(["graph", "native"], ["zeros", "learned", "projected"], [False, True]))
# Each list has both engines, all initial states, and networks with and without lengths. Programs take turns with them.
QUICK_STACKS = (
    [("native", "projected", True), ("graph", "learned", True), ("native", "zeros", False)],
    [("graph", "projected", False), ("native", "learned", False), ("graph", "zeros", True)],
)
QUICK = [(name, *stack) for k, name in enumerate(exports.PROGRAMS) for stack in QUICK_STACKS[k % 2]]


@pytest.mark.parametrize(
    "program, engine, initial_state, has_lengths",
    sets.some(
        QUICK,
        [(name, *stack) for name in exports.PROGRAMS for stack in STACKS],
        oldest=[(name, *QUICK_STACKS[k % 2][0]) for k, name in enumerate(exports.PROGRAMS)],
    ),
)
@NEEDS_NATIVE
def test_stacks(program, engine, initial_state, has_lengths, plain_session, tmp_path, witness):
    check(program, exports.stack(engine, initial_state, has_lengths), plain_session, tmp_path, witness)


@sets.ONCE
@with_programs
def test_cudnn(program, numpy_cudnn, plain_session, tmp_path, witness):
    check(program, exports.stack("cudnn", "projected", has_lengths=False), plain_session, tmp_path, witness)


@sets.ONCE
def test_cudnn_in_both_directions(numpy_cudnn, plain_session, tmp_path, witness):
    check("frozen_graph", exports.bidirectional("cudnn"), plain_session, tmp_path, witness)


NETWORKS = [
    "titles",
    "cells",
    "peepholes",
    "options",
    "both_directions",
    "bidirectional",
    "activations",
    "without_bias",
]


def engine_in_turn(network, program):
    return ["graph", "native"][(NETWORKS.index(network) + list(exports.PROGRAMS).index(program)) % 2]


EVERY = list(itertools.product(NETWORKS, exports.PROGRAMS, ["graph", "native"]))


def is_in_turn(network, program):
    """SavedModels are the same for both of their programs, which take turns."""
    return program not in SAVED_MODEL or program == SAVED_MODEL[NETWORKS.index(network) % 2]


# The quick set has every pair of a network and a format. The engine changes from pair to pair; it is "native" with
# SavedModels, where other ops take the place of its op.
QUICK_PAIRS = [case for case in EVERY if is_in_turn(*case[:2]) and engine_in_turn(*case[:2]) == case[2]]


@pytest.mark.parametrize(
    "network, program, engine",
    sets.some(QUICK_PAIRS, EVERY, oldest=[case for case in QUICK_PAIRS if case[1] in SAVED_MODEL]),
)
@NEEDS_NATIVE
def test_networks(program, network, engine, plain_session, tmp_path, witness):
    if program == "openvino" and network in ("activations", "peepholes", "options"):
        pytest.skip("the LSTM of OpenVINO has neither hard sigmoids nor peepholes")
    check(program, getattr(exports, network)(engine), plain_session, tmp_path, witness)


def in_turn(programs):
    """(program, engine) for `parametrize`: in the quick set, the engine changes from program to program."""
    quick = list(zip(programs, itertools.cycle(["graph", "native"])))
    return sets.some(quick, list(itertools.product(programs, ["graph", "native"])), oldest=quick[:2])


@pytest.mark.parametrize(
    "program, engine", in_turn([name for name, (format, _) in exports.PROGRAMS.items() if format != "onnx"])
)
@NEEDS_NATIVE
def test_projections(program, engine, plain_session, tmp_path, witness):
    check(program, exports.projection(engine), plain_session, tmp_path, witness)


@pytest.mark.parametrize("program, engine", in_turn([*TENSORFLOW, "litert"]))
@NEEDS_NATIVE
def test_normalization(program, engine, plain_session, tmp_path, witness):
    check(program, exports.normalization(engine), plain_session, tmp_path, witness)


@pytest.mark.parametrize("program, engine", in_turn(TENSORFLOW))
@NEEDS_NATIVE
def test_random_masks(program, engine, plain_session, tmp_path, witness):
    """TensorFlow's ops in the file draw what the session draws."""
    check(program, exports.masks(engine), plain_session, tmp_path, witness)


@pytest.mark.parametrize("engine", ENGINES)
def test_dropout_with_a_placeholder_in_onnx(engine, plain_session, tmp_path, witness):
    """The default of the placeholder, False, is in the file, with the ops of the dropout."""
    x = tf.placeholder(tf.float32, [None, None, 4])
    lstm = stacked_lstm.StackedLSTM([5, 4], input_dropout=0.3, dropout=0.5, engine=engine)
    outputs, _ = lstm(x, training=tf.placeholder_with_default(False, []))
    check("onnxruntime", ({"x": x}, {"y": outputs}), plain_session, tmp_path, witness)


@NEEDS_NATIVE
def test_random_masks_of_a_seed(plain_session, tmp_path):
    """The first run of a file has the masks of the first run of a session."""
    results = []
    for engine in ("native", "graph"):
        x = tf.placeholder(tf.float32, [2, 3, 4])
        with mask_ops.choose(engine, lambda: []):
            drawn = (
                dropout_masks.draw([3, 5], 0.6, 3, tf.float32, ones=1),
                dropout_masks.zoneout([9], 0.4, 4, tf.float32),
            )
        outputs = {f"y{k}": mask * tf.reduce_sum(x) for k, mask in enumerate(drawn)}
        frozen_graph = frozen.freeze(plain_session, {"x": x}, outputs)
        definition = portable.portable_definition(frozen_graph)
        names = [tensor + ":0" for tensor in outputs]
        with tf.Graph().as_default():
            feed, *tensors = tf.import_graph_def(definition, name="", return_elements=["x:0", *names])
            with tf.Session() as session:
                results.append(session.run(tensors, {feed: np.ones([2, 3, 4]) / 24}))
    for actual, expected in zip(*results):
        np.testing.assert_array_equal(actual, expected)
        assert 0 < np.mean(actual == 0) < 1


def test_a_graph_without_masks_is_not_copied(plain_session):
    """A copy of a large model takes as much memory as its weights."""
    inputs, outputs = exports.stack("graph", has_lengths=False)
    exports.set_random(plain_session)
    frozen_graph = frozen.freeze(plain_session, inputs, outputs)
    assert portable.with_tensorflow_masks(frozen_graph).definition is frozen_graph.definition


CONTROL_FLOWS = list(itertools.product(exports.PROGRAMS, ["control_flow_v1", "control_flow_v2"]))


@pytest.mark.parametrize(
    "program, control_flow",
    sets.some([case for case in CONTROL_FLOWS if case[1] == "control_flow_v2"], CONTROL_FLOWS),
    indirect=["control_flow"],
)
def test_control_flows(program, control_flow, plain_session, tmp_path, witness):
    """The loops of the layers have the control flow of the program. The export does not change the setting.

    The other tests have control flow v1.
    """
    before = tf.control_flow_v2_enabled()
    check(program, exports.titles("graph"), plain_session, tmp_path, witness)
    assert tf.control_flow_v2_enabled() == before == (control_flow == "control_flow_v2")


@pytest.mark.parametrize("program, engine", in_turn(TENSORFLOW))
@NEEDS_NATIVE
def test_float64(program, engine, plain_session, tmp_path, witness):
    check(program, exports.stack(engine, "projected", dtype=tf.float64), plain_session, tmp_path, witness)


@pytest.mark.parametrize("program, engine", in_turn(list(exports.PROGRAMS)))
@NEEDS_NATIVE
def test_streaming(program, engine, plain_session, tmp_path, witness):
    """States are inputs and outputs: the results of two pieces are those of the whole."""
    exports.skip_if_missing(program)
    x = tf.placeholder(tf.float32, [2, 4, 3])
    states = [stacked_lstm.LSTMState(*[tf.placeholder(tf.float32, [2, n]) for _ in "ch"]) for n in (5, 4)]
    lstm = stacked_lstm.StackedLSTM([5, 4], engine=engine)
    outputs, finals = lstm(x, initial_state=states)
    names = ["c1", "h1", "c2", "h2"]
    inputs = dict(zip(names, [tensor for state in states for tensor in state]), x=x)
    results = {"new_" + name: tensor for name, tensor in zip(names, [part for final in finals for part in final])}
    exports.set_random(plain_session)
    path = tmp_path / exports.NAMES[exports.PROGRAMS[program][0]]
    export.write(plain_session, inputs, dict(results, outputs=outputs), path)
    whole = np.random.RandomState(0).standard_normal([2, 8, 3]).astype(np.float32)
    zeros = {name: np.zeros(inputs[name].shape.as_list(), np.float32) for name in names}
    first = witness.run(program, path, dict(zeros, x=whole[:, :4]), [*results, "outputs"])
    after_first = {name: first["new_" + name] for name in names}
    second = witness.run(program, path, dict(after_first, x=whole[:, 4:]), [*results, "outputs"])
    expected = plain_session.run(lstm(tf.constant(whole)))
    joined = np.concatenate([first["outputs"], second["outputs"]], axis=1)
    assert relative_difference(joined, expected[0]) < TOLERANCE
    assert relative_difference(second["new_c1"], expected[1][0].c) < TOLERANCE
    assert relative_difference(second["new_h2"], expected[1][1].h) < TOLERANCE


@with_engines
def test_onnx_has_lstm_nodes(engine, plain_session, tmp_path, witness):
    """One LSTM node per layer, and no loop."""
    path = check("onnxruntime", exports.titles(engine), plain_session, tmp_path, witness)
    import onnx

    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("LSTM") == 3 and not {"Loop", "Scan", "If"} & set(kinds)


@with_engines
@pytest.mark.parametrize("network", ["stack", "titles"])
def test_layers_are_read_from_onnx(engine, network, plain_session, tmp_path, witness):
    """`checkpoints.read` finds the layers of the session. Of layers with an op between them, the user gives names."""
    path = check("onnxruntime", getattr(exports, network)(engine), plain_session, tmp_path, witness)
    names = {"stack": None, "titles": ".*"}[network]
    layers = checkpoints.read(str(path), names=names).layers
    values = plain_session.run({variable.op.name: variable for variable in tf.global_variables()})
    scopes = [f"stacked_lstm/layer_{k}" for k in (1, 2, 3)] if names is None else ["first/layer_1"]
    scopes += [] if names is None else [f"stacked_lstm/layer_{k}" for k in (1, 2)]
    assert len(layers) == 3
    for scope, layer in zip(scopes, layers):
        for array in ("Wf", "Wi", "Wc", "Wo", "bf", "bi", "bc", "bo"):
            np.testing.assert_allclose(layer.weights[array], values[f"{scope}/{array}"], rtol=1e-6, atol=1e-7)


@with_programs
def test_lengths_of_zero(program, plain_session, tmp_path, witness):
    """An empty sequence keeps its initial state."""
    exports.skip_if_missing(program)
    inputs, outputs = exports.stack("graph", "learned")
    exports.set_random(plain_session)
    path = tmp_path / exports.NAMES[exports.PROGRAMS[program][0]]
    example = exports.random_inputs(inputs, (4, 6))
    export.write(plain_session, inputs, outputs, path, example)
    arrays = dict(example, lengths=np.array([0, 6, 0, 2], np.int32))
    expected = plain_session.run(outputs, {inputs[name]: array for name, array in arrays.items()})
    results = witness.run(program, path, arrays, outputs)
    for name in outputs:
        assert relative_difference(results[name], expected[name]) < TOLERANCE, name


@pytest.mark.parametrize("quantize, tolerance, share", [("float16", 1e-2, 0.7), ("dynamic_range", 1e-1, 0.6)])
def test_quantized(quantize, tolerance, share, plain_session, tmp_path, witness):
    """Other numbers within the tolerance, in a smaller file."""
    exports.skip_if_missing("litert")
    x = tf.placeholder(tf.float32, [2, 5, 64])
    outputs, _ = stacked_lstm.StackedLSTM([64])(x)
    inputs, outputs = {"x": x}, {"y": outputs}
    plain_session.run(tf.global_variables_initializer())
    example = exports.random_inputs(inputs, (2, 5))
    export.tflite(plain_session, inputs, outputs, tmp_path / "float.tflite", example)
    differences = export.tflite(plain_session, inputs, outputs, tmp_path / "model.tflite", example, quantize=quantize)
    sizes = [(tmp_path / name).stat().st_size for name in ("model.tflite", "float.tflite")]
    assert 0 < differences["y"] < tolerance and sizes[0] < share * sizes[1]
    results = witness.run("litert", tmp_path / "model.tflite", example, ["y"])
    assert relative_difference(results["y"], plain_session.run(outputs["y"], {x: example["x"]})) < tolerance
