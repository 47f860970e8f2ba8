"""ONNX models as exporters write them: constants behind nodes, bodies of nodes, numbers in files beside the model."""

import os

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.checkpoints.safety import files
from support.files.checkpoint_files import GOLDEN, names_of
from support.files.onnx_files import lstm_layers, model_of
from support.references import numeric, plain_lstm

onnx = pytest.importorskip("onnx", reason="onnx is not installed (the extra `test` brings it)")
reference = pytest.importorskip("onnx.reference", reason="this onnx has no reference evaluator")

FOLDER = os.path.join(os.path.dirname(GOLDEN), "pytorch_exporters")
OLD = tuple(map(int, onnx.__version__.split(".")[:2])) <= (1, 14)  # 1.14 is the last for Python 3.7.
NEWER = pytest.mark.skipif(OLD, reason="onnx 1.14 does not know the version of ONNX that PyTorch's dynamo writes")
CHAINS = ["unfolded", "training", "opset_8", "twice", "learned", pytest.param("dynamo", marks=NEWER)]
X = np.random.RandomState(7).standard_normal([5, 2, 3]).astype(np.float32)


def path_of(case, suffix=".onnx"):
    return os.path.join(FOLDER, case + suffix)


def expected_weights(case):
    """Name of a layer in the state_dict -> its weights."""
    return {layer.name: layer.weights for layer in checkpoints.read(path_of(case, ".npz")).layers}


@pytest.mark.parametrize("case", CHAINS)
def test_what_pytorch_computed(case):
    """The layers form one network, with the weights of the state_dict."""
    golden, weights = np.load(path_of(case, ".npz")), list(expected_weights(case).values())
    layers = checkpoints.read(path_of(case)).layers
    if case == "twice":
        weights = weights * 2
    assert len(layers) == len(weights) and len({layer.network for layer in layers}) == 1
    for layer, expected in zip(layers, weights):
        assert all(files.same_bits(layer.weights[name], expected[name]) for name in expected)
    states = None
    if case == "learned":
        rows = [1, golden["x"].shape[1], 1]
        states = [(np.tile(golden["c"], rows)[0], np.tile(golden["h"], rows)[0])]
        for key in "ch":
            assert files.same_bits(layers[0].initial_state[key], golden[key][0, 0])
    outputs, _ = plain_lstm.run([layer.weights for layer in layers], golden["x"].transpose(1, 0, 2), states=states)
    numeric.check_same({"y": outputs.transpose(1, 0, 2)}, {"y": golden["y"]}, 1e-6)


@pytest.mark.parametrize("case, names", [("branches", ["a.l0", "b.l0"]), ("unfolded_bidirectional", None)])
def test_several_layers(case, names):
    """Those in the branches of an If are networks of their own; the directions of one node are one."""
    layers, expected = checkpoints.read(path_of(case)).layers, expected_weights(case)
    if names:
        assert [layer.name.split("/")[2] for layer in layers] == ["then_branch", "else_branch"]
        assert len({layer.network for layer in layers}) == 2
    for layer, name in zip(layers, names or list(expected)):
        assert all(files.same_bits(layer.weights[key], expected[name][key]) for key in expected[name])
    assert len(layers) == len(expected)


@pytest.mark.parametrize("case", ["unfolded", "unfolded_bidirectional", "branches", "opset_8"])
def test_templates(case, tmp_path):
    """The nodes that made the weights are replaced by the new ones; everything else stays."""
    source, target = checkpoints.read(path_of(case)), str(tmp_path / "new.onnx")
    new = [lstm_layers([layer.sizes[1]], layer.sizes[0], seed=k)[0] for k, layer in enumerate(source.layers)]
    changed = [layer._replace(weights=weights) for layer, weights in zip(source.layers, new)]
    checkpoints.write(target, changed, template=path_of(case))
    reread = checkpoints.read(target)
    assert names_of(reread.layers) == names_of(source.layers)
    for layer, weights in zip(reread.layers, new):
        assert all(files.same_bits(layer.weights[name], weights[name]) for name in weights)
    assert set(reread.other_arrays) == set(source.other_arrays)
    if case == "unfolded":
        y = reference.ReferenceEvaluator(target).run(None, {"x": X})[0]
        numeric.check_same({"y": y.transpose(1, 0, 2)}, {"y": plain_lstm.run(new, X.transpose(1, 0, 2))[0]}, 1e-6)


# Nodes that make "made" from the initializer W [1, 16, 3] in several versions of the ops.
MOVED = {
    "Identity": [("Identity", ["W"], "made", {})],
    "Transpose": [("Transpose", ["W"], "a", {"perm": [2, 1, 0]}), ("Transpose", ["a"], "made", {"perm": [2, 1, 0]})],
    "Cast": [("Cast", ["W"], "a", {"to": 11}), ("Cast", ["a"], "made", {"to": 1})],
    "Split": [("Split", ["W"], ["a", "b"], {"axis": 1}), ("Concat", ["a", "b"], "made", {"axis": 1})],
    "Squeeze": [("Squeeze", ["W", "zero"], "a", {}), ("Unsqueeze", ["a", "zero"], "made", {})],
    "Reshape": [("Reshape", ["W", "flat"], "a", {}), ("Reshape", ["a", "shape"], "made", {})],
    "Slice": [("Slice", ["W", "zero", "end", "one_"], "a", {}), ("Slice", ["W", "end", "far", "one_"], "b", {}),
              ("Concat", ["a", "b"], "made", {"axis": 1})],
    "computed places": [("Shape", ["W"], "s", {}), ("Gather", ["s", "one_"], "n", {}), ("Sub", ["n", "far"], "f", {}),
                        ("Slice", ["W", "f", "n", "one_"], "made", {})],
}  # fmt: skip
INDICES = {"zero": [0], "end": [6], "far": [16], "one_": [1], "flat": [-1], "shape": [1, 16, 3]}


def moved_model(nodes):
    extra = [
        onnx.helper.make_node(op, inputs, outputs if isinstance(outputs, list) else [outputs], name=f"n{k}", **options)
        for k, (op, inputs, outputs, options) in enumerate(nodes)
    ]
    layers = lstm_layers([4], 3)
    model = model_of(layers, extra=extra, weights={name: np.array(value) for name, value in INDICES.items()})
    next(node for node in model.graph.node if node.op_type == "LSTM").input[1] = "made"
    return layers, model


@pytest.mark.parametrize("case", MOVED)
def test_ops_that_move_numbers(case, tmp_path):
    layers, model = moved_model(MOVED[case])
    onnx.checker.check_model(model)
    onnx.save(model, str(tmp_path / "model.onnx"))
    (layer,) = checkpoints.read(tmp_path / "model.onnx").layers
    assert all(files.same_bits(layer.weights[name], layers[0][name]) for name in layers[0])


@pytest.mark.parametrize(
    "nodes, text",
    [
        ([("Mul", ["W", "one"], "made", {})], "Mul .node 'n0'."),
        ([("Mul", ["W", "one"], "a", {}), ("Identity", ["a"], "made", {})], "Mul .node 'n0'."),
        ([("Identity", ["x"], "made", {})], "the input x"),
        ([("Relu", ["W"], "a", {}), ("Cast", ["a"], "made", {"to": 1})], "Relu .node 'n0'."),
    ],
)
def test_weights_that_are_computed(nodes, text, tmp_path):
    """The message names the op."""
    onnx.save(moved_model(nodes)[1], str(tmp_path / "model.onnx"))
    with pytest.raises(ValueError, match=f"for encoder in .*; W is computed by {text} at run time"):
        checkpoints.read(tmp_path / "model.onnx")


def test_a_body_of_a_loop(tmp_path):
    """Its node sees the outer graph's weights."""
    layers = lstm_layers([3], 3)
    graph = model_of(layers).graph
    info, make = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    body = onnx.helper.make_graph(
        [
            make("LSTM", ["v", "W", "R", "B"], ["y"], name="inner", hidden_size=3),
            make("Squeeze", ["y", "axis"], ["next"]),
            make("Identity", ["go"], ["goes"]),
        ],
        "body",
        [info("k", 7, []), info("go", 9, []), info("v", 1, ["T", "B", 3])],
        [info("goes", 9, []), info("next", 1, ["T", "B", 3])],
        initializer=[onnx.numpy_helper.from_array(np.array([1]), "axis")],
    )
    loop = make("Loop", ["count", "", "x"], ["z"], name="loop", body=body)
    count = onnx.numpy_helper.from_array(np.array(2), "count")
    outer = onnx.helper.make_graph(
        [loop], "outer", [graph.input[0]], [info("z", 1, ["T", "B", 3])], initializer=[*graph.initializer, count]
    )
    model = onnx.helper.make_model(outer, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=7)
    onnx.save(model, str(tmp_path / "model.onnx"))
    (layer,) = checkpoints.read(tmp_path / "model.onnx").layers
    assert layer.name == "loop/body/inner" and layer.remark == ""
    assert all(files.same_bits(layer.weights[name], layers[0][name]) for name in layers[0])


@pytest.mark.parametrize(
    "op, inputs, between",
    [
        ("Squeeze", ["y", "axis"], ""),
        ("Relu", ["y"], "Relu .node 'between'."),
        ("Add", ["y", "y"], "Add .node 'between'."),
        ("LayerNormalization", ["y", "scale"], "LayerNormalization .node 'between'."),
        ("Dropout", ["y"], ""),
        ("Slice", ["y", "axis", "end"], ""),
        ("Slice", ["y", "minus", "start", "first", "minus"], "Slice .node 'between'."),
        ("final state", ["y_h"], "the final state of LSTM .node 'encoder'."),
        ("skip", ["y"], "Concat .node 'between'."),
    ],
)
def test_what_is_between_two_nodes(op, inputs, between, tmp_path):
    """A stack has nothing between its layers, so that a model with more is not read as one without a word.

    A Slice with negative steps reverses the sequence.
    """
    layers = lstm_layers([3], 3)
    model = model_of(layers, weights={"axis": np.array([1]), "scale": np.ones(3, np.float32)})
    places = {"first": [0], "end": [2**31], "minus": [-1], "start": [-(2**31)]}
    graph = model.graph
    graph.initializer.extend(onnx.numpy_helper.from_array(np.array(value), name) for name, value in places.items())
    model.opset_import[0].version, model.ir_version = 17, 8
    make = onnx.helper.make_node
    graph.node[0].output.append("y_h")
    if op in ("Squeeze", "final state"):
        graph.node.append(make("Identity" if op == "final state" else op, inputs, ["below"], name="between"))
    else:
        made = make(op, inputs, ["a"], name="between")
        if op == "skip":
            graph.node.append(make("Unsqueeze", ["x", "axis"], ["wide"]))
            made = make("Concat", ["y", "wide"], ["a"], name="between", axis=1)
        graph.node.extend([made, make("Squeeze", ["a"] + ["axis"] * (op != "skip"), ["below"])])
    graph.node.append(make("LSTM", ["below", "W", "R", "B"], ["top"], name="upper", hidden_size=3))
    onnx.save(model, str(tmp_path / "model.onnx"))
    if not between:
        assert {layer.network for layer in checkpoints.read(tmp_path / "model.onnx").layers} == {"encoder"}
        return
    with pytest.raises(
        ValueError, match=r"expected plain LSTM layers in .* got upper \(its input comes from " + between
    ):
        checkpoints.read(tmp_path / "model.onnx")
    assert len(checkpoints.read(tmp_path / "model.onnx", names=".*").layers) == 2


def test_a_function_of_the_model(tmp_path):
    """Exporters write a module as a function, and a call of it."""
    layers = lstm_layers([3], 3)
    model = model_of(layers)
    (node,) = [node for node in model.graph.node if node.op_type == "LSTM"]
    opsets = [onnx.helper.make_opsetid("", 14), onnx.helper.make_opsetid("local", 1)]
    names = [list(filter(None, ends)) for ends in (node.input, node.output)]
    function = onnx.helper.make_function("local", "Encoder", *names, [node], opsets[:1])
    call = onnx.helper.make_node("Encoder", *names, domain="local")
    graph = onnx.helper.make_graph(
        [call if other is node else other for other in model.graph.node],
        "outer",
        list(model.graph.input),
        list(model.graph.output),
        list(model.graph.initializer),
    )
    model = onnx.helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=8)
    onnx.save(model, str(tmp_path / "model.onnx"))
    if OLD:
        with pytest.raises(ValueError, match="functions, which need onnx 1.15 or newer"):
            checkpoints.read(tmp_path / "model.onnx")
        return
    (layer,) = checkpoints.read(tmp_path / "model.onnx").layers
    assert all(files.same_bits(layer.weights[name], layers[0][name]) for name in layers[0])


def external(path, location="data.bin"):
    layers, model = lstm_layers([4], 3), model_of(lstm_layers([4], 3))
    onnx.save_model(model, str(path), save_as_external_data=True, location=location, size_threshold=0)
    return layers


def test_numbers_beside_the_model(tmp_path):
    """A copy holds them itself."""
    layers = external(tmp_path / "model.onnx")
    for path in ("model.onnx", "new.onnx"):
        (layer,) = checkpoints.read(tmp_path / path).layers
        assert all(files.same_bits(layer.weights[name], layers[0][name]) for name in layers[0])
        if path == "model.onnx":
            checkpoints.write(tmp_path / "new.onnx", [layer], template=tmp_path / path)
            (tmp_path / "data.bin").unlink()


@pytest.mark.parametrize(
    "location, text",
    [
        ("../secret.bin", "'../secret.bin', which is outside of the folder"),
        ("link.bin", "'link.bin', which is outside of the folder"),
        ("{folder}/secret.bin", "which is outside of the folder"),
        ("fifo", "fifo is no regular file"),
        ("short.bin", "the data of W at 0 to 192 of a file of 3 bytes"),
        ("missing.bin", "FileNotFoundError"),
    ],
)
def test_numbers_elsewhere(location, text, tmp_path):
    """No other file of the machine is read, and nothing hangs."""
    inner = tmp_path / "inner"
    inner.mkdir()
    external(inner / "model.onnx")
    (tmp_path / "secret.bin").write_bytes(b"s" * 4000)
    (inner / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.mkfifo(str(inner / "fifo"))
    (inner / "short.bin").write_bytes(b"abc")
    model = onnx.load(str(inner / "model.onnx"), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location.format(folder=tmp_path)
    (inner / "model.onnx").write_bytes(model.SerializeToString())
    before = set(os.listdir(str(inner)))
    with pytest.raises(ValueError, match="expected an ONNX model in .*model.onnx, got .*" + text):
        checkpoints.read(inner / "model.onnx")
    assert set(os.listdir(str(inner))) == before
