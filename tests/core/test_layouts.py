"""`layouts`: conversion there and back, forget biases, and errors; test_layout_orders.py tests the orders."""

import itertools

import numpy as np
import pytest

from stacked_lstm import layouts

GATES = "fioc"
LAYOUTS = sorted(name for name, layout in layouts.LAYOUTS.items() if not layout.always_normalizes)


def layer_of(input_size=3, hidden_size=2, use_bias=True, dtype=np.float32):
    """A layer of small integers, so that adding and subtracting a forget bias does not round."""
    random = np.random.RandomState(0)
    layer = {"W" + k: random.randint(-99, 99, [hidden_size + input_size, hidden_size]).astype(dtype) for k in GATES}
    if use_bias:
        layer.update({"b" + k: random.randint(-99, 99, [hidden_size]).astype(dtype) for k in GATES})
    return layer


def assert_equal(actual, expected):
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype
        np.testing.assert_array_equal(actual[name], value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_there_and_back(layout, as_list, dtype):
    layer = layer_of(dtype=dtype)
    packed = layouts.pack(layer, layout)
    assert_equal(layouts.unpack(list(packed.values()) if as_list else packed, layout), layer)


def test_biases_that_add():
    packed = layouts.pack(layer_of(), "pytorch")
    total = layouts.unpack(dict(packed, bias_hh=np.arange(8, dtype=np.float32)), "pytorch")
    expected = layer_of()
    for k, gate in enumerate("ifco"):
        expected["b" + gate] = expected["b" + gate] + np.float32([2 * k, 2 * k + 1])
    assert_equal(total, expected)
    twice = dict(packed, bias_hh=packed["bias_ih"], bias_ih=np.zeros([8], np.float32))
    assert_equal(layouts.unpack(twice, "pytorch"), layer_of())


def random_layer(layout, other, dtype=np.float32, scale=1.0):
    """Random weights with the arrays that both layouts can hold, and with some negative zeros."""
    random, units, width = np.random.RandomState(3), 4, 4
    pair = [layouts.LAYOUTS[name] for name in (layout, other)]
    shapes = [("b" + k, [units]) for k in GATES]
    if all(entry.projection for entry in pair):
        width, shapes = 3, shapes + [("Wp", [units, 3])]
    if all(entry.peepholes for entry in pair):
        shapes += [("p" + k, [units]) for k in "fio"]
    shapes += [("W" + k, [width + 5, units]) for k in GATES]
    layer = {name: (scale * random.standard_normal(shape)).astype(dtype) for name, shape in shapes}
    layer["bi"][1] = layer["bf"][2] = layer["Wf"][0, 0] = -0.0
    return layer


def assert_same_bits(actual, expected, exceptions=()):
    assert sorted(actual) == sorted(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype and actual[name].shape == value.shape
        assert name in exceptions or actual[name].tobytes() == value.tobytes(), name


PAIRS = list(itertools.product(LAYOUTS, repeat=2))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("source, target", PAIRS)
def test_every_pair_bit_for_bit(source, target, dtype):
    arrays = layouts.pack(random_layer(source, target, dtype), source, forget_bias=0.0)
    target_arrays = layouts.pack(layouts.unpack(arrays, source, forget_bias=0.0), target, forget_bias=0.0)
    assert sorted(target_arrays) == sorted(layouts.pack(random_layer(source, target, dtype), target, forget_bias=0.0))
    assert_same_bits(
        layouts.pack(layouts.unpack(target_arrays, target, forget_bias=0.0), source, forget_bias=0.0), arrays
    )


@pytest.mark.parametrize("source, target", PAIRS)
def test_every_pair_with_default_forget_biases(source, target):
    """Adding and subtracting 1.0 rounds the forget gate's bias, unless it is a multiple of 2^-23 below 1."""
    layer = random_layer(source, target)
    arrays = layouts.pack(layer, source)
    restored = layouts.pack(layouts.unpack(layouts.pack(layouts.unpack(arrays, source), target), target), source)
    actual, expected = layouts.unpack(restored, source), layouts.unpack(arrays, source)
    assert_same_bits(actual, expected, exceptions=["bf"])
    spacing = np.spacing(1 + np.abs(expected["bf"]))
    assert np.all(np.abs(actual["bf"] - expected["bf"]) <= spacing) and np.any(expected["bf"])
    grid = np.random.RandomState(1).randint(-(2**23) + 1, 2**23, size=4)
    biases = dict(layer, bf=(grid * 2.0**-23).astype(np.float32))
    assert_same_bits(layouts.unpack(layouts.pack(biases, source), source), biases)
    assert_same_bits(layouts.unpack(layouts.pack(biases, target), target), biases)


@pytest.mark.parametrize("layout, what", [("keras", "peepholes"), ("keras", "a projection"), ("onnx", "a projection")])
def test_no_place(layout, what):
    layer = random_layer("stacked_lstm", "stacked_lstm" if what == "a projection" else "onnx")
    if what == "a projection" and layout == "keras":
        layer = {name: array for name, array in layer.items() if name[0] != "p"}
    with pytest.raises(
        ValueError, match=f"layouts.pack: the layer has {what}, for which the layout '{layout}' has no place"
    ):
        layouts.pack(layer, layout)


NORM = {name: np.float32([k, k + 1]) for k, name in enumerate(["gain_f", "gain_i", "gain_o", "gain_c", "gain_cell"])}
SHIFT = {"shift_cell": np.float32([8, 9])}


@pytest.mark.parametrize("use_bias", [False, True])
def test_layer_normalization(use_bias):
    """Two layouts have gains. If a layer has biases, it also has a shift of the cell state."""
    layer = dict(layer_of(use_bias=use_bias), **NORM, **(SHIFT if use_bias else {}))
    assert_equal(layouts.unpack(layouts.pack(layer, "stacked_lstm"), "stacked_lstm"), layer)
    packed = layouts.pack(layer, "layer_norm_cell")
    zeros = {name: np.zeros([2], np.float32) for name in ["bf", "bi", "bo", "bc", "shift_cell"]}
    assert_same_bits(layouts.unpack(packed, "layer_norm_cell"), dict(zeros, **layer))
    np.testing.assert_array_equal(packed["forget/beta"], layer.get("bf", zeros["bf"]) - 1)
    np.testing.assert_array_equal([packed[f"{scope}/gamma"][0] for scope in ("transform", "state")], [3, 4])
    with pytest.raises(ValueError, match="the layer has no layer normalization, which the layout 'layer_norm_cell' al"):
        layouts.pack(layer_of(), "layer_norm_cell")
    for layout in set(LAYOUTS) - {"stacked_lstm"}:
        with pytest.raises(ValueError, match=f"has layer normalization, for which the layout '{layout}' has no place"):
            layouts.pack(layer, layout)


@pytest.mark.parametrize(
    "layer",
    [
        dict(layer_of(), **NORM),
        dict(layer_of(), **SHIFT),
        dict(layer_of(use_bias=False), **NORM, **SHIFT),
        dict(layer_of(), **dict(NORM, gain_o=None), **SHIFT),
        dict(layer_of(), **dict(NORM, gain_o=np.ones([3], np.float32)), **SHIFT),
    ],
)
def test_wrong_arrays_of_layer_normalization(layer):
    with pytest.raises(ValueError, match="layouts.pack: expected .*gain_"):
        layouts.pack(layer, "stacked_lstm")


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
    np.testing.assert_array_equal(packed["bias"], [0, 0, 0, 0, -1, -1, 0, 0])  # It cancels what the cell adds.
    assert not any(np.any(layouts.unpack(packed, "rnn_cell")["b" + k]) for k in GATES)


KERAS = layouts.pack(layer_of(), "keras")


def test_missing_biases_may_be_none():
    without = layouts.unpack(dict(KERAS, bias=None), "keras")
    assert_equal(without, layer_of(use_bias=False))


@pytest.mark.parametrize(
    "arrays, message",
    [
        (
            list(KERAS.values())[:1],
            r"of one layer, kernel, recurrent_kernel, with or without biases \(bias\), got a list of length 1",
        ),
        (list(KERAS.values()) * 2, "got a list of length 6"),
        (5, "got 5"),
        (dict(KERAS, bias=np.zeros([8], int)), "the array bias to hold floats, got the dtype int64"),
        ({"kernel": KERAS["kernel"]}, "got kernel$"),
        (dict(KERAS, more=1), "got bias, kernel, more, recurrent_kernel$"),
        (
            dict(KERAS, kernel=np.zeros([3, 9])),
            r"shapes kernel \[I, 4H\], recurrent_kernel \[H, 4H\], bias \[4H\], got",
        ),
        (dict(KERAS, recurrent_kernel=np.zeros([3, 8])), r"got .*recurrent_kernel \[3, 8\]"),
        (dict(KERAS, bias=np.zeros([16])), r"got .*bias \[16\]"),
        (dict(KERAS, kernel=np.zeros([])), r"got .*kernel \[\]"),
        (dict(KERAS, kernel=np.zeros([8])), r"got .*kernel \[8\]"),
        (dict(KERAS, kernel=np.zeros([0, 8])), r"got .*kernel \[0, 8\]"),
    ],
)
def test_bad_arrays(arrays, message):
    with pytest.raises(ValueError, match="layouts.unpack: expected .*" + message):
        layouts.unpack(arrays, "keras")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"w_f_diag": None}, r"peepholes \(w_f_diag, w_i_diag, w_o_diag\), projection \(projection/kernel\), got"),
        ({"w_f_diag": np.zeros([3], np.float32)}, r"w_f_diag \[H\], .*got .*w_f_diag \[3\]"),
        ({"projection/kernel": np.zeros([3, 3], np.float32)}, r"projection/kernel \[H, P\], got"),
        ({"projection/kernel": np.zeros([4, 9], np.float32)}, r"kernel \[I \+ P, 4H\], .*got"),
        ({"projection/kernel": None}, None),  # More rows belong to x then.
    ],
)
def test_bad_peepholes_and_projections(changes, message):
    arrays = dict(layouts.pack(random_layer("rnn_cell", "rnn_cell"), "rnn_cell"), **changes)
    if message is None:
        assert layouts.unpack(arrays, "rnn_cell")["Wf"].shape == (8, 4)
        return
    with pytest.raises(ValueError, match="layouts.unpack: expected .*" + message):
        layouts.unpack(arrays, "rnn_cell")


@pytest.mark.parametrize("name", ["W", "B"])
def test_a_leading_axis_is_one(name):
    arrays = layouts.pack(layer_of(), "onnx")
    with pytest.raises(ValueError, match=r"shapes W \[1, 4H, I\], R \[1, 4H, H\], B \[1, 8H\], got"):
        layouts.unpack(dict(arrays, **{name: np.concatenate([arrays[name]] * 2)}), "onnx")


def test_bad_arguments():
    with pytest.raises(ValueError, match="layouts.unpack: expected `layout` to be one of .*keras.*, got 'kerras'"):
        layouts.unpack(KERAS, "kerras")
    with pytest.raises(ValueError, match="layouts.pack: expected `forget_bias` to be a finite number, got nan"):
        layouts.pack(layer_of(), "rnn_cell", forget_bias=float("nan"))
    with pytest.raises(ValueError, match=r"layouts.pack: expected the shapes Wf \[H \+ I, H\]"):
        layouts.pack(dict(layer_of(), Wo=np.zeros([4, 2])), "keras")
    with pytest.raises(
        ValueError, match="layouts.pack: expected `layer` to be a mapping from Wf ... bo to arrays, got a list"
    ):
        layouts.pack([layer_of()], "keras")
    with pytest.raises(ValueError, match="layouts.pack: expected the arrays of one layer, Wf, .* got .*bf"):
        layouts.pack(dict(layer_of(), bo=None), "keras")
    with pytest.raises(ValueError, match="layouts.pack: expected the shapes"):  # There are no rows of x.
        layouts.pack({"W" + k: np.zeros([2, 2]) for k in GATES}, "keras")
