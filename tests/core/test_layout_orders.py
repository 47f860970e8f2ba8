"""The place of each number in a layout, as the libraries document it, and as ops of TensorFlow compute.

Other tests compare with what the libraries compute: test_conformance.py (rnn_cell), test_keras.py, and the tests of
checkpoints.
"""

import itertools
import os

import numpy as np
import pytest

from stacked_lstm import layouts
from stacked_lstm.compat import tf
from support.networks.random_networks import GATES, random_layers
from support.references import numeric, plain_lstm
from support.suite.paths import OF_TENSORFLOW

# Array -> labels along its axes, as each library's documentation has them, for H = 2 and I = 1. x is the row of the
# input, a and b are the rows of h, i1 is the input gate of the first unit. "0" is a second bias, "-" an axis of size 1.
ICFO, IFCO, IOFC = ("i1 i2 c1 c2 f1 f2 o1 o2", "i1 i2 f1 f2 c1 c2 o1 o2", "i1 i2 o1 o2 f1 f2 c1 c2")
ZEROS = " 0" * 8
DOCUMENTED = {
    "rnn_cell": {
        "kernel": ["x a b", ICFO],
        "bias": [ICFO],
        "w_f_diag": ["pf1 pf2"],
        "w_i_diag": ["pi1 pi2"],
        "w_o_diag": ["po1 po2"],
        "projection/kernel": ["w1 w2", "q1 q2"],
    },
    "cudnn_compatible": {"kernel": ["x a b", ICFO], "bias": [ICFO]},
    "keras": {"kernel": ["x", IFCO], "recurrent_kernel": ["a b", IFCO], "bias": [IFCO]},
    "block_lstm": {
        "w": ["x a b", ICFO],
        "b": [ICFO],
        "wci": ["pi1 pi2"],
        "wcf": ["pf1 pf2"],
        "wco": ["po1 po2"],
    },
    "block_lstm_v2": {
        "w": ["x a b", IFCO],
        "b": [IFCO],
        "wci": ["pi1 pi2"],
        "wcf": ["pf1 pf2"],
        "wco": ["po1 po2"],
    },
    "pytorch": {
        "weight_ih": [IFCO, "x"],
        "weight_hh": [IFCO, "a b"],
        "bias_ih": [IFCO],
        "bias_hh": [ZEROS],
        "weight_hr": ["q1 q2", "w1 w2"],
    },
    "onnx": {
        "W": ["-", IOFC, "x"],
        "R": ["-", IOFC, "a b"],
        "B": ["-", IOFC + ZEROS],
        "P": ["-", "pi1 pi2 po1 po2 pf1 pf2"],
    },
    "cudnn": dict(
        [("w_" + k, [f"{k}1 {k}2", "x"]) for k in "ifco"]
        + [("r_" + k, [f"{k}1 {k}2", "a b"]) for k in "ifco"]
        + [("b_w" + k, [f"{k}1 {k}2"]) for k in "ifco"]
        + [("b_r" + k, ["0 0"]) for k in "ifco"],
        pw=["q1 q2", "w1 w2"],
    ),
}


def numbered(layout):
    """A layer of distinct numbers with every array that a layout can hold."""
    numbers = itertools.count(1)
    shapes = dict([("W" + k, [3, 2]) for k in GATES] + [("b" + k, [2]) for k in GATES])
    if layouts.LAYOUTS[layout].peepholes:
        shapes.update({"p" + k: [2] for k in "fio"})
    if layouts.LAYOUTS[layout].projection:
        shapes["Wp"] = [2, 2]
    return {
        name: np.reshape([next(numbers) for _ in range(np.prod(shape))], shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def by_labels(layer):
    """Labels of an entry of the layer -> the number of that entry."""
    numbers = {frozenset(["0"]): 0}
    for (name, array), unit in itertools.product(layer.items(), range(2)):
        label = f"{name[1:]}{unit + 1}"
        if name == "Wp":
            numbers.update({frozenset([f"w{unit + 1}", f"q{k + 1}"]): array[unit, k] for k in range(2)})
        elif name[0] == "W":
            numbers.update({frozenset([label, row]): array[k, unit] for k, row in enumerate("abx")})
        else:
            numbers[frozenset([label if name[0] == "b" else "p" + label])] = array[unit]
    return numbers


@pytest.mark.parametrize("layout", sorted(set(layouts.LAYOUTS) - {layouts.OWN, "keras_cudnn", "layer_norm_cell"}))
def test_where_each_number_goes(layout):
    layer = numbered(layout)
    numbers, packed = by_labels(layer), layouts.pack(layer, layout, forget_bias=0.0)
    assert set(packed) == set(DOCUMENTED[layout])
    for name, axes in DOCUMENTED[layout].items():
        axes = [axis.split() for axis in axes]
        cells = [numbers[frozenset(labels) - {"-"}] for labels in itertools.product(*axes)]
        expected = np.reshape(cells, [len(axis) for axis in axes])
        np.testing.assert_array_equal(packed[name], expected, err_msg=name)
    restored = layouts.unpack(packed, layout, forget_bias=0.0)
    assert set(restored) == set(layer) and all(np.array_equal(restored[name], layer[name]) for name in layer)


def test_cudnn_lstm_of_keras():
    """An array [I, H] holds cuDNN's matrix [H, I] row by row; TensorFlow 1.15 converted the golden arrays."""
    layer = {"W" + k: 10 * n + np.array([[7, 8], [9, 0], [1, 2], [3, 4], [5, 6]]) for n, k in enumerate("ifco")}
    layer = {name: array.astype(np.float32) for name, array in layer.items()}
    layer.update({"b" + k: np.float32([n, n]) for n, k in enumerate("ifco")})
    packed = layouts.pack(layer, "keras_cudnn")
    x, h = np.array([[1, 3], [5, 2], [4, 6]]), np.array([[7, 9], [8, 0]])
    np.testing.assert_array_equal(packed["kernel"], np.hstack([10 * n + x for n in range(4)]))
    np.testing.assert_array_equal(packed["recurrent_kernel"], np.hstack([10 * n + h for n in range(4)]))
    np.testing.assert_array_equal(packed["bias"], [0, 0, 1, 1, 2, 2, 3, 3] + [0] * 8)
    golden = np.load(os.path.join(OF_TENSORFLOW, "cudnn_lstm.npz"))
    for name in ("cu_dnnlstm", "cu_dnnlstm_1"):
        arrays = [[golden[f"{name}/{kind}/{k}"] for k in range(3)] for kind in ("weights", "converted")]
        actual, expected = layouts.unpack(arrays[0], "keras_cudnn"), layouts.unpack(arrays[1], "keras")
        assert all(np.array_equal(actual[key], expected[key]) for key in expected)
    outputs, _ = plain_lstm.run(
        [
            layouts.unpack([golden[f"{name}/weights/{k}"] for k in range(3)], "keras_cudnn")
            for name in ("cu_dnnlstm", "cu_dnnlstm_1")
        ],
        golden["inputs"],
    )
    numeric.check_same({"outputs": outputs}, {"outputs": golden["outputs"]}, 1e-6)


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("op, layout", [("BlockLSTM", "block_lstm"), ("BlockLSTMV2", "block_lstm_v2")])
def test_raw_ops_compute_with_their_layouts(op, layout, peepholes, session):
    random = np.random.RandomState(3)
    (layer,) = random_layers(random, [4], 5, scale=0.5)
    layer.update({"p" + k: random.standard_normal([4]) for k in "fio"} if peepholes else {})
    layer = {name: array.astype(np.float32) for name, array in layer.items()}
    x = np.random.RandomState(4).standard_normal([2, 6, 5]).astype(np.float32)
    arrays = layouts.pack(layer, layout)
    diagonals = {name: np.zeros([4], np.float32) for name in ("wci", "wcf", "wco")}
    zeros = np.zeros([2, 4], np.float32)
    run = getattr(tf.raw_ops, op)(
        seq_len_max=6,
        x=x.transpose(1, 0, 2),
        cs_prev=zeros,
        h_prev=zeros,
        cell_clip=-1.0,
        use_peephole=peepholes,
        **dict(diagonals, **arrays),
    )
    outputs, ((c, _),) = plain_lstm.run([layer], x)
    results = session.run({"outputs": run.h, "c": run.cs[-1]})
    results["outputs"] = results["outputs"].transpose(1, 0, 2)
    numeric.check_same(results, {"outputs": outputs, "c": c}, 1e-6)
