"""ONNX models: LSTM nodes are read, replaced and written; the numbers are compared with ONNX's own evaluator."""

import os

import numpy as np
import pytest

from stacked_lstm import checkpoints
from support.files.checkpoint_files import GOLDEN, folder, names_of
from support.files.onnx_files import lstm_layers, model_of
from support.references import numeric, plain_lstm

onnx = pytest.importorskip("onnx", reason="onnx is not installed (the extra `test` brings it)")
reference = pytest.importorskip("onnx.reference", reason="this onnx has no reference evaluator")

PYTORCH = os.path.join(os.path.dirname(GOLDEN), "pytorch")
OLD = tuple(map(int, onnx.__version__.split(".")[:2])) <= (1, 14)  # 1.14 is the last for Python 3.7.
BACKWARD_TOO = pytest.mark.skipif(OLD, reason="onnx 1.14 evaluates nodes of direction forward only")
NEWER = pytest.mark.skipif(OLD, reason="onnx 1.14 does not know the version of ONNX that PyTorch 2.13 writes")


def evaluate(path, x):
    return reference.ReferenceEvaluator(str(path)).run(None, {"x": x.transpose(1, 0, 2)})[0]


X = np.random.RandomState(7).standard_normal([2, 5, 3]).astype(np.float32)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("sizes", [[4], [4, 2, 3]])
def test_a_new_model(sizes, peepholes, use_bias, tmp_path):
    layers, path = lstm_layers(sizes, 3, peepholes, use_bias=use_bias), tmp_path / "new.onnx"
    locations = checkpoints.write(str(path), layers, scope="net/")
    assert names_of(locations) == [f"net/lstm_{k}" for k in range(len(sizes))]
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    actual = evaluate(path, X).transpose(1, 0, 2)
    numeric.check_same({"y": actual}, {"y": plain_lstm.run(layers, X)[0]}, 1e-6)
    reread_layers = checkpoints.read(str(path)).layers
    assert names_of(reread_layers) == names_of(locations)
    for layer, reread in zip(layers, reread_layers):
        assert set(layer) == set(reread.weights) and all(np.array_equal(layer[n], reread.weights[n]) for n in layer)


@pytest.mark.parametrize(
    "direction", ["forward"] + [pytest.param(side, marks=BACKWARD_TOO) for side in ("reverse", "bidirectional")]
)
def test_a_model_read_and_used_as_a_template(direction, tmp_path):
    directions = {"forward": ["forward"], "reverse": ["backward"]}.get(direction, ["forward", "backward"])
    old, new = ([lstm_layers([4], 3, seed=10 * k + n)[0] for n in range(len(directions))] for k in range(2))
    onnx.save(model_of(old, direction), str(tmp_path / "old.onnx"))
    source = checkpoints.read(str(tmp_path / "old.onnx"))
    assert [layer.direction for layer in source.layers] == directions
    assert names_of(source.layers) == (["encoder"] if len(directions) == 1 else ["encoder/forward", "encoder/backward"])
    assert list(source.other_arrays) == ["one"]
    new_layers = [layer._replace(weights=weights) for layer, weights in zip(source.layers, new)]
    checkpoints.write(str(tmp_path / "new.onnx"), new_layers, template=str(tmp_path / "old.onnx"))
    for name, layers in [("old.onnx", old), ("new.onnx", new)]:
        z = evaluate(tmp_path / name, X).transpose(1, 2, 0, 3)
        for k, (layer, side) in enumerate(zip(layers, directions)):
            expected = plain_lstm.run([layer], X, backward=side == "backward")[0] + 1
            numeric.check_same({"z": z[k]}, {"z": expected}, 1e-6)
    graphs = [onnx.load(str(tmp_path / name)).graph for name in ("old.onnx", "new.onnx")]
    assert graphs[0].node == graphs[1].node and graphs[0].input == graphs[1].input


@pytest.mark.parametrize(
    "attributes, remark",
    [
        ({"clip": 3.0}, "clip=3.0"),
        ({"input_forget": 1}, "input_forget=1"),
        ({"activations": ["Sigmoid", "Relu", "Tanh"]}, r"activations=\['Sigmoid', 'Relu', 'Tanh'\]"),
    ],
)
def test_nodes_that_compute_something_else(attributes, remark, tmp_path):
    path, layers = str(tmp_path / "model.onnx"), lstm_layers([4], 3)
    onnx.save(model_of(layers, **attributes), path)
    with pytest.raises(ValueError, match="expected plain LSTM layers in .* got .*encoder.*" + remark):
        checkpoints.read(path)
    (actual,) = checkpoints.read(path, names="encoder").layers
    np.testing.assert_array_equal(actual.weights["Wf"], layers[0]["Wf"])


def test_attributes_that_change_nothing(tmp_path):
    usual = {"input_forget": 0, "activations": ["Sigmoid", "Tanh", "Tanh"], "layout": 1}
    onnx.save(model_of(lstm_layers([4], 3), **usual), str(tmp_path / "model.onnx"))
    assert names_of(checkpoints.read(str(tmp_path / "model.onnx")).layers) == ["encoder"]


@pytest.mark.parametrize("exporter", [pytest.param("", marks=NEWER), "_torchscript"])
@pytest.mark.parametrize("case", ["stacked", "bidirectional"])
def test_what_pytorch_exported(case, exporter):
    """The weights are those of the state_dict."""
    actual = checkpoints.read(os.path.join(PYTORCH, case + exporter + ".onnx")).layers
    expected = checkpoints.read(os.path.join(PYTORCH, case + ".npz")).layers
    assert [layer.direction for layer in actual] == [layer.direction for layer in expected]
    for layer, expected_layer in zip(actual, expected):
        assert all(np.array_equal(layer.weights[name], expected_layer.weights[name]) for name in expected_layer.weights)


def test_what_onnx_computed_with_peepholes():
    golden = np.load(os.path.join(PYTORCH, "peepholes.npz"))
    (actual,) = checkpoints.read(os.path.join(PYTORCH, "peepholes.onnx")).layers
    states = [(golden["initial_c"][0], golden["initial_h"][0])]
    outputs, ((c, h),) = plain_lstm.run([actual.weights], golden["X"].transpose(1, 0, 2), states=states)
    results = {"Y": outputs.transpose(1, 0, 2)[:, np.newaxis], "Y_c": c[np.newaxis], "Y_h": h[np.newaxis]}
    numeric.check_same(results, {name: golden[name] for name in results}, 1e-6)


def test_broken_models(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(model_of(lstm_layers([4], 3)), str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="checkpoints.read: expected an ONNX model in .*model.onnx, got "):
        checkpoints.read(str(path))
    with pytest.raises(ValueError, match="expected an ONNX model in .*missing.onnx, got no such file$"):
        checkpoints.read(str(tmp_path / "missing.onnx"))
    onnx.save(model_of(lstm_layers([4], 3), weights={"R": np.zeros([1, 16, 3], np.float32)}), str(path))
    with pytest.raises(ValueError, match=r"LSTM arrays in the layout onnx for encoder in .* got .*\[1, 16, 3\]"):
        checkpoints.read(str(path))
    computed = onnx.helper.make_node("Mul", ["W", "one"], ["computed"], name="scale")
    model = model_of(lstm_layers([4], 3), extra=[computed])
    model.graph.node[1].input[1] = "computed"
    onnx.save(model, str(path))
    with pytest.raises(
        ValueError,
        match="LSTM arrays .* for encoder .*no computed.*; W is computed by Mul .node 'scale'. at run time",
    ):
        checkpoints.read(str(path))


def test_a_failure_changes_nothing(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(model_of(lstm_layers([4], 3)), str(path))
    before = folder(tmp_path)
    with pytest.raises(
        ValueError, match=r"expected arrays for encoder of .*W float32 \[1, 16, 3\], got W float32 \[1, 16, 5\]$"
    ):
        checkpoints.write(str(path), lstm_layers([4], 5), template=str(path), overwrite=True)
    with pytest.raises(ValueError, match="has a projection, for which the layout 'onnx' has no place"):
        source = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="lstm_projection/.*")
        checkpoints.write(str(path), source.layers, overwrite=True)
    with pytest.raises(ValueError, match="all forward, got .* backward"):
        backward = checkpoints.read(os.path.join(GOLDEN, "cells.ckpt"), names="both/.*/bw/.*")
        checkpoints.write(str(path), backward.layers, overwrite=True)
    assert folder(tmp_path) == before


def two_nodes(parallel):
    """A model of two nodes that share their weights. The second reads the output of the first, or x."""
    model = model_of(lstm_layers([3], 3))
    second = onnx.helper.make_node("LSTM", ["x", "W", "R", "B"], ["b"], name="second", hidden_size=3)
    if not parallel:
        squeezed = onnx.helper.make_node("Squeeze", ["y", "axis"], ["below"])
        axis = onnx.numpy_helper.from_array(np.array([1], np.int64), "axis")
        model.graph.initializer.append(axis)
        model.graph.node.append(squeezed)
        second.input[0] = "below"
    model.graph.node.append(second)
    return model


@pytest.mark.parametrize("parallel", [False, True])
def test_nodes_that_are_no_chain_are_several_networks(parallel, tmp_path):
    path = str(tmp_path / "model.onnx")
    onnx.save(two_nodes(parallel), path)
    actual = checkpoints.read(path).layers
    assert [layer.network for layer in actual] == ["encoder", "second" if parallel else "encoder"]


def test_nodes_that_share_their_weights(tmp_path):
    path, new = str(tmp_path / "model.onnx"), str(tmp_path / "new.onnx")
    onnx.save(two_nodes(parallel=False), path)
    layers = lstm_layers([3, 3], 3, seed=8)
    with pytest.raises(ValueError, match="the same numbers for all layers that share W, got others for second$"):
        checkpoints.write(new, layers, template=path)
    checkpoints.write(new, [layers[0]] * 2, template=path)
    for actual in checkpoints.read(new).layers:
        np.testing.assert_array_equal(actual.weights["Wf"], layers[0]["Wf"])
