"""ONNX models of one LSTM node. Their functions need the package onnx."""

import numpy as np

from stacked_lstm import layouts
from support.references import plain_lstm


def lstm_layers(sizes, input_size, peepholes=False, seed=6, **options):
    random = np.random.RandomState(seed)
    layers = plain_lstm.float32_layers(sizes, input_size, seed, scale=0.5, **options)
    for layer, size in zip(layers, sizes):
        layer.update({"p" + k: random.standard_normal([size]).astype(np.float32) for k in "fio"} if peepholes else {})
    return layers


def model_of(layers, direction="forward", extra=(), weights=(), **attributes):
    """A model x [T, B, I] -> LSTM -> y [T, directions, B, H] -> z = y + 1 with the arrays of `layers`."""
    import onnx

    packed = [layouts.pack(layer, "onnx") for layer in layers]
    arrays = {key: np.concatenate([item[key] for item in packed]) for key in packed[0]}
    inputs = ["x", "W", "R", "B" if "B" in arrays else "", "", "", "", "P" if "P" in arrays else ""]
    node = onnx.helper.make_node(
        "LSTM", inputs, ["y"], name="encoder", hidden_size=arrays["R"].shape[2], direction=direction, **attributes
    )
    add = onnx.helper.make_node("Add", ["y", "one"], ["z"])
    arrays["one"] = np.ones([], np.float32)
    arrays.update(weights)
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    info = onnx.helper.make_tensor_value_info
    x, z = info("x", 1, ["T", "B", arrays["W"].shape[2]]), info("z", 1, [None] * 4)
    graph = onnx.helper.make_graph(list(extra) + [node, add], "model", [x], [z], initializer=tensors)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=7)
