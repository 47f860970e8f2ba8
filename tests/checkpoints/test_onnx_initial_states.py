"""Initial states in ONNX models: constants are read, zeros and inputs are plain, anything else is named."""

import numpy as np
import pytest

from stacked_lstm import checkpoints
from support.files.onnx_files import lstm_layers, model_of
from support.references import numeric, plain_lstm

onnx = pytest.importorskip("onnx", reason="onnx is not installed (the extra `test` brings it)")
reference = pytest.importorskip("onnx.reference", reason="this onnx has no reference evaluator")

STATE = np.random.RandomState(3).standard_normal([2, 3, 4]).astype(np.float32)  # [directions, batch, H]
X = np.random.RandomState(7).standard_normal([5, 2, 3]).astype(np.float32)


def written(path, h="", c="", nodes=(), weights=None, direction="forward", inputs=(), **attributes):
    """A model whose LSTM node has the inputs initial_h and initial_c."""
    layers = lstm_layers([4], 3) + lstm_layers([4], 3, seed=9) * (direction == "bidirectional")
    model = model_of(layers, direction, extra=nodes, weights=weights or {}, **attributes)
    node = next(node for node in model.graph.node if node.op_type == "LSTM")
    node.input.extend([""] * (7 - len(node.input)))
    node.input[5], node.input[6] = h, c
    while not node.input[-1]:
        node.input.pop()
    for name in inputs:
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, 1, [None, None, 4]))
    onnx.save(model, str(path))
    return layers


def node_of(op, inputs, output, **attributes):
    return onnx.helper.make_node(op, inputs, [output], name=f"the_{op}", **attributes)


SHAPE = {"shape": np.array([1, 2, 4])}
CONSTANTS = {
    "as it is": dict(h="h", c="c", weights={"h": STATE[:1, :1], "c": STATE[1:, :1]}),
    "only h": dict(h="h", weights={"h": STATE[:1, :1]}),
    "expanded": dict(
        h="he",
        c="ce",
        weights=dict(SHAPE, h=STATE[0, 0], c=STATE[1:, :1]),
        nodes=[node_of("Expand", ["h", "shape"], "he"), node_of("Expand", ["c", "shape"], "ce")],
    ),
    "unsqueezed and expanded": dict(
        h="hu", weights=dict(SHAPE, h=STATE[0, :1]), nodes=[node_of("Expand", ["h", "shape"], "hu")]
    ),
    "both directions": dict(h="h", weights={"h": STATE[:, :1]}, direction="bidirectional"),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_constants_are_learned_states(case, tmp_path):
    """They are read, kept in a new model, and replaced in a template."""
    arguments = CONSTANTS[case]
    written(tmp_path / "model.onnx", **arguments)
    layers = checkpoints.read(tmp_path / "model.onnx").layers
    for k, layer in enumerate(layers):
        h = STATE[k, 0]
        np.testing.assert_array_equal(layer.initial_state["h"], h)
        if "c" in arguments:
            np.testing.assert_array_equal(layer.initial_state["c"], STATE[1, 0])
    if len(layers) == 1:
        checkpoints.write(str(tmp_path / "new.onnx"), layers)
        states = [(STATE[1:, 0] * ("c" in arguments), STATE[:1, 0])]
        expected, _ = plain_lstm.run([layers[0].weights], X.transpose(1, 0, 2)[:1], states=states)
        actual = reference.ReferenceEvaluator(str(tmp_path / "new.onnx")).run(None, {"x": X[:, :1]})[0]
        numeric.check_same({"y": actual.transpose(1, 0, 2)}, {"y": expected}, 1e-6)
    changed = [
        layer._replace(initial_state={key: array + 1 for key, array in layer.initial_state.items()}) for layer in layers
    ]
    if "c" in arguments:
        checkpoints.write(str(tmp_path / "changed.onnx"), changed, template=tmp_path / "model.onnx")
        for layer, reread in zip(changed, checkpoints.read(tmp_path / "changed.onnx").layers):
            np.testing.assert_array_equal(reread.initial_state["h"], layer.initial_state["h"])
    with pytest.raises(ValueError, match=r"expected `initial_state=\[\]`, since .*'pytorch' has no place"):
        checkpoints.write(str(tmp_path / "new.npz"), layers[:1])


PLAIN = {
    "zeros": dict(h="h", c="h", weights={"h": np.zeros([1, 2, 4], np.float32)}),
    "zeros of the batch's shape": dict(
        h="zero", weights={"shape": np.array([1, 2, 4])}, nodes=[node_of("ConstantOfShape", ["shape"], "zero")]
    ),
    "an input": dict(h="h0", c="h0", inputs=["h0"]),
    "a part of an input": dict(
        h="part", inputs=["h0"], weights={"k": np.array([0])}, nodes=[node_of("Gather", ["h0", "k"], "part")]
    ),
}


@pytest.mark.parametrize("case", PLAIN)
def test_zeros_and_inputs(case, tmp_path):
    written(tmp_path / "model.onnx", **PLAIN[case])
    (layer,) = checkpoints.read(tmp_path / "model.onnx").layers
    assert layer.initial_state == {} and layer.remark == ""


COMPUTED = {
    "initial_h comes from Add": dict(
        h="sum", inputs=["h0"], weights={"h": STATE[:1, :1]}, nodes=[node_of("Add", ["h0", "h"], "sum")]
    ),
    "initial_c comes from Tanh": dict(c="tanh", inputs=["h0"], nodes=[node_of("Tanh", ["h0"], "tanh")]),
    r"initial_h is a constant of shape \(1, 2, 4\)": dict(
        h="ones",
        weights={"shape": np.array([1, 2, 4])},
        nodes=[node_of("ConstantOfShape", ["shape"], "ones", value=onnx.helper.make_tensor("value", 1, [1], [1.0]))],
    ),
    r"initial_h is a constant of shape \(1, 3, 4\)": dict(h="h", weights={"h": STATE[:1]}),
}


@pytest.mark.parametrize("remark", COMPUTED)
def test_what_cannot_be_kept_is_named(remark, tmp_path):
    written(tmp_path / "model.onnx", **COMPUTED[remark])
    with pytest.raises(ValueError, match="expected plain LSTM layers in .*model.onnx, .* got .*" + remark):
        checkpoints.read(tmp_path / "model.onnx")
    (layer,) = checkpoints.read(tmp_path / "model.onnx", names="encoder").layers
    assert layer.initial_state == {}
