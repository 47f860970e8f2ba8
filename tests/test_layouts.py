"""The layouts of other libraries: where each number goes, there and back, and errors.

That the orders are the libraries' own is shown where they compute: test_parity.py (rnn_cell), test_keras.py.
"""

import numpy as np
import pytest

from stacked_lstm import layouts

GATES = "fioc"


def layer_of(input_size=3, hidden_size=2, use_bias=True, dtype=np.float32):
    """Small integers, so that adding and taking back a forget bias is exact."""
    random = np.random.RandomState(0)
    layer = {"W" + k: random.randint(-99, 99, [hidden_size + input_size, hidden_size]).astype(dtype) for k in GATES}
    if use_bias:
        layer.update({"b" + k: random.randint(-99, 99, [hidden_size]).astype(dtype) for k in GATES})
    return layer


def assert_equal(ours, expected):
    assert list(ours) == list(expected)
    for name, value in expected.items():
        assert ours[name].dtype == value.dtype
        np.testing.assert_array_equal(ours[name], value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("layout", sorted(layouts.LAYOUTS))
def test_there_and_back(layout, as_list, dtype):
    layer = layer_of(dtype=dtype)
    packed = layouts.pack(layer, layout)
    assert_equal(layouts.unpack(list(packed.values()) if as_list else packed, layout), layer)


def test_gate_order_and_rows_of_rnn_cell():
    layer = {"W" + k: np.full([5, 2], n, np.float64) for n, k in enumerate(GATES)}
    layer.update({"b" + k: np.full([2], 10.0 + n) for n, k in enumerate(GATES)})
    layer["Wf"][0] = 77  # The row of the first unit of h.
    packed = layouts.pack(layer, "rnn_cell")
    assert list(packed) == ["kernel", "bias"] and packed["kernel"].shape == (3 + 2, 4 * 2)
    np.testing.assert_array_equal(packed["kernel"][0], [1, 1, 3, 3, 0, 0, 2, 2])  # i, c, f, o
    np.testing.assert_array_equal(packed["kernel"][3], [1, 1, 3, 3, 77, 77, 2, 2])  # h after three rows of x
    np.testing.assert_array_equal(packed["bias"], [11, 11, 13, 13, 9, 9, 12, 12])  # without the cell's forget bias, 1


def test_gate_order_and_rows_of_keras():
    layer = {"W" + k: np.full([5, 2], n, np.float64) for n, k in enumerate(GATES)}
    layer.update({"b" + k: np.full([2], 10.0 + n) for n, k in enumerate(GATES)})
    layer["Wf"][:2] = 77
    packed = layouts.pack(layer, "keras")
    assert list(packed) == ["kernel", "recurrent_kernel", "bias"]
    np.testing.assert_array_equal(packed["kernel"], [[1, 1, 0, 0, 3, 3, 2, 2]] * 3)  # i, f, c, o
    np.testing.assert_array_equal(packed["recurrent_kernel"], [[1, 1, 77, 77, 3, 3, 2, 2]] * 2)
    np.testing.assert_array_equal(packed["bias"], [11, 11, 10, 10, 13, 13, 12, 12])


def test_forget_bias():
    layer = layer_of()
    packed = layouts.pack(layer, "rnn_cell", forget_bias=0.0)
    assert_equal(layouts.unpack(packed, "rnn_cell", forget_bias=0.0), layer)
    np.testing.assert_array_equal(layouts.unpack(packed, "rnn_cell", forget_bias=2.5)["bf"], layer["bf"] + 2.5)
    np.testing.assert_array_equal(layouts.unpack(packed, "rnn_cell")["bf"], layer["bf"] + 1)


def test_without_biases():
    layer = layer_of(use_bias=False)
    assert list(layouts.pack(layer, "keras")) == ["kernel", "recurrent_kernel"]
    assert_equal(layouts.unpack(layouts.pack(layer, "keras"), "keras"), layer)
    assert_equal(layouts.unpack(layouts.pack(dict(layer, bf=None, bi=None, bo=None, bc=None), "keras"), "keras"), layer)
    packed = layouts.pack(layer, "rnn_cell")
    np.testing.assert_array_equal(packed["bias"], [0, 0, 0, 0, -1, -1, 0, 0])  # takes back what the cell adds
    assert not any(np.any(layouts.unpack(packed, "rnn_cell")["b" + k]) for k in GATES)


KERAS = layouts.pack(layer_of(), "keras")


def test_missing_biases_may_be_none():
    without = layouts.unpack(dict(KERAS, bias=None), "keras")
    assert_equal(without, layer_of(use_bias=False))


@pytest.mark.parametrize(
    "arrays, message",
    [
        (list(KERAS.values())[:1], "arrays kernel, recurrent_kernel, bias, all of the biases or none, got 1 arrays"),
        (list(KERAS.values()) * 2, "got 6 arrays"),
        (5, "got 5"),
        (dict(KERAS, bias=np.zeros([8], int)), "arrays of floats, got .*'bias': 'int64'"),
        ({"kernel": KERAS["kernel"]}, r"got \['kernel'\]"),
        (dict(KERAS, more=1), r"got \['bias', 'kernel', 'more', 'recurrent_kernel'\]"),
        (
            dict(KERAS, kernel=np.zeros([3, 9])),
            r"shapes kernel \[I, 4H\], recurrent_kernel \[H, 4H\], bias \[4H\], got",
        ),
        (dict(KERAS, recurrent_kernel=np.zeros([3, 8])), r"got .*'recurrent_kernel': \(3, 8\)"),
        (dict(KERAS, bias=np.zeros([16])), r"got .*'bias': \(16,\)"),
        (dict(KERAS, kernel=np.zeros([])), r"got .*'kernel': \(\)"),
        (dict(KERAS, kernel=np.zeros([8])), r"got .*'kernel': \(8,\)"),
        (dict(KERAS, kernel=np.zeros([0, 8])), r"got .*'kernel': \(0, 8\)"),
    ],
)
def test_bad_arrays(arrays, message):
    with pytest.raises(ValueError, match="layouts.unpack: expected .*" + message):
        layouts.unpack(arrays, "keras")


def test_bad_arguments():
    with pytest.raises(ValueError, match="layouts.unpack: expected `layout` to be one of .*keras.*, got 'kerras'"):
        layouts.unpack(KERAS, "kerras")
    with pytest.raises(ValueError, match="layouts.pack: expected `forget_bias` to be a finite number, got nan"):
        layouts.pack(layer_of(), "rnn_cell", forget_bias=float("nan"))
    with pytest.raises(ValueError, match=r"layouts.pack: expected fitting shapes Wf \[H \+ I, H\]"):
        layouts.pack(dict(layer_of(), Wo=np.zeros([4, 2])), "keras")
    with pytest.raises(ValueError, match="layouts.pack: expected a mapping from Wf ... bo to arrays, .*, got a list"):
        layouts.pack([layer_of()], "keras")
    with pytest.raises(ValueError, match="layouts.pack: expected one layer's arrays Wf, .* got .*'bf'"):
        layouts.pack(dict(layer_of(), bo=None), "keras")
    with pytest.raises(ValueError, match="layouts.pack: expected fitting shapes"):  # No rows of x.
        layouts.pack({"W" + k: np.zeros([2, 2]) for k in GATES}, "keras")
