"""The NumPy yardstick at the edges: ends of sequences, types, empty arrays, bad arguments, imports."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from stacked_lstm import LSTMState, numpy_lstm
from support.networks.random_networks import LENGTHS, flat, random_layers, random_states
from support.references import numeric


def test_values_past_an_end_do_not_matter():
    """Neither x nor d_outputs matters past an end, and outputs there are zero."""
    random = np.random.RandomState(0)
    layers, x, lengths = random_layers(random, [3, 2], 2), random.standard_normal([6, 4, 2]), np.array(LENGTHS)
    past = np.arange(6)[:, None] >= lengths
    results = []
    for filler in (0.0, np.nan):
        x[past] = filler
        d_outputs = np.where(past[..., None], filler, np.ones([6, 4, 2]))
        outputs, state, cache = numpy_lstm.forward(layers, x, None, lengths)
        results.append(dict(flat(numpy_lstm.backward(d_outputs, None, cache)), outputs=outputs, c=state[1].c))
    numeric.check_same(*results, tolerance=0)
    assert not np.any(outputs[past]) and np.all(outputs[~past])
    alone, _, _ = numpy_lstm.forward(layers, x[:4, 3:])
    np.testing.assert_allclose(outputs[:4, 3:], alone, rtol=1e-14)


def test_a_sequence_that_has_ended_does_not_overflow():
    layers = random_layers(np.random.RandomState(0), [3], 2)
    start = [(np.full([2, 3], 1e200), np.full([2, 3], 1e200))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = {"activation": "linear", "recurrent_activation": "linear", "sequence_length": [0, 0]}
        outputs, _, cache = numpy_lstm.forward(layers, np.ones([3, 2, 2]), start, **options)
        gradients = numpy_lstm.backward(np.ones_like(outputs), start, cache)
    assert not np.any(gradients["x"]) and not np.any(gradients["layers"][0]["Wf"])
    np.testing.assert_array_equal(gradients["initial_state"][0], start[0])


def test_arrays_may_change_between_forward_and_backward():
    random = np.random.RandomState(0)
    layers, x, start = random_layers(random, [3], 2), random.standard_normal([4, 5, 2]), random_states(random, [3], 5)
    arrays = [x] + list(start[0]) + list(layers[0].values())
    before = [array.copy() for array in arrays]
    results = []
    for change in (0, 1):
        outputs, _, cache = numpy_lstm.forward(layers, x, start)
        for array in arrays:
            array += change
        results.append(flat(numpy_lstm.backward(np.ones_like(outputs), None, cache)))
    assert all(np.all(a != b) for a, b in zip(arrays, before))
    numeric.check_same(*results, tolerance=0)


@pytest.mark.parametrize("converted", [np.float32, np.int64, lambda array: np.asarray(array).tolist()])
def test_results_have_the_documented_types(converted):
    layers = random_layers(np.random.RandomState(0), [3, 2], 2)
    layers = [{name: converted(np.round(9 * value)) for name, value in layer.items()} for layer in layers]
    start = [[converted(np.ones([5, size]))] * 2 for size in (3, 2)]
    outputs, state, cache = numpy_lstm.forward(layers, converted(np.ones([4, 5, 2])), start)
    gradients = numpy_lstm.backward(converted(np.ones([4, 5, 2])), start, cache)
    y, head_cache = numpy_lstm.head_forward({"Wy": converted(np.ones([2, 3])), "by": converted(np.ones([3]))}, outputs)
    assert y.dtype == numpy_lstm.head_backward(converted(np.ones([4, 5, 3])), head_cache)[1].dtype == np.float64
    assert isinstance(state, list) and all(isinstance(s, LSTMState) for s in state + gradients["initial_state"])
    assert outputs.dtype == state[0].c.dtype == gradients["layers"][1]["Wf"].dtype == np.float64
    assert sorted(gradients) == ["initial_state", "layers", "x"] and gradients["x"].shape == (4, 5, 2)


@pytest.mark.parametrize("steps, batch", [(0, 3), (2, 0)])
def test_empty(steps, batch):
    layers = random_layers(np.random.RandomState(0), [3], 2)
    start = random_states(np.random.RandomState(0), [3], batch)
    outputs, state, cache = numpy_lstm.forward(layers, np.zeros([steps, batch, 2]), start)
    gradients = numpy_lstm.backward(None, start, cache)
    assert outputs.shape == (steps, batch, 3) and gradients["x"].shape == (steps, batch, 2)
    assert not np.any(gradients["layers"][0]["Wf"])
    np.testing.assert_array_equal(state[0], start[0])
    np.testing.assert_array_equal(gradients["initial_state"][0], start[0])


LAYER = random_layers(np.random.RandomState(0), [3], 2)[0]
GAINS = dict.fromkeys(["gain_f", "gain_i", "gain_o", "gain_c", "gain_cell"], np.ones(3))
NO_BIASES = dict.fromkeys(["bf", "bi", "bo", "bc"])
STATES = [(np.zeros([5, 3]), np.zeros([5, 3]))]


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"x": np.zeros([4, 2])}, r"`x` of shape \[time, batch, input\], got \(4, 2\)"),
        ({"x": np.zeros([4, 5, 3])}, r"`layers\[0\]\['Wf'\]` of shape \(6, 3\), got \(5, 3\)"),
        ({"layers": []}, "`layers` to be a sequence of mappings, one per layer, got none"),
        ({"layers": LAYER}, "`layers` to be a sequence of mappings, one per layer, got \\['Wf'"),
        ({"layers": [{"Wf": 1}]}, r"`layers\[0\]` with Wf, Wi, Wo, Wc, got \['Wf'\]"),
        ({"layers": [dict(LAYER, Wf=1.0)]}, r"`layers\[0\]\['Wf'\]` of shape .*, got \(\)"),
        ({"layers": [dict(LAYER, bo=None)]}, "with all of bf, bi, bo, bc, or with none of them, got only bf, bi, bc"),
        ({"layers": [dict(LAYER, pf=np.zeros([3]))]}, "with all of pf, pi, po, or with none of them, got only pf"),
        ({"layers": [dict(LAYER, Wq=1)]}, "with no other arrays than Wf, Wi, .*, shift_cell, Wp, got Wq"),
        ({"layers": [dict(LAYER, **GAINS)]}, "with shift_cell, because it has gains and biases, got Wc, Wf, .*gain_o"),
        ({"layers": [dict(LAYER, shift_cell=1)]}, "without shift_cell, because it has no gains, got .*shift_cell"),
        (
            {"layers": [dict(LAYER, **GAINS, **NO_BIASES, shift_cell=1)]},
            "without shift_cell, because it has no biases, got .*shift_cell",
        ),
        ({"layers": [dict(LAYER, bo=np.zeros([2]))]}, r"`layers\[0\]\['bo'\]` of shape \(3,\), got \(2,\)"),
        ({"layers": [LAYER, LAYER]}, r"`layers\[1\]\['Wf'\]` of shape \(6, 3\), got \(5, 3\)"),
        (
            {"initial_state": STATES * 2},
            r"`initial_state` to be a list of one pair, \[\(c, h\)\], got a list of length 2",
        ),
        ({"initial_state": STATES[0]}, r"a list of one pair, \[\(c, h\)\], got"),
        ({"initial_state": [(np.zeros([4, 3]),) * 2]}, r"`initial_state\[0\].c` of shape \(5, 3\), got \(4, 3\)"),
        ({"initial_state": [(STATES[0][0], [0.0])]}, r"`initial_state\[0\].h` of shape \(5, 3\), got \(1,\)"),
        ({"sequence_length": [5, 0, 0, 0, 0]}, r"`sequence_length` of 5 integers from 0 to 4, got \[5, 0, 0, 0, 0\]"),
        ({"sequence_length": [-1, 0, 0, 0, 0]}, "integers from 0 to 4"),
        ({"sequence_length": [1, 0]}, r"of 5 integers from 0 to 4, got \[1, 0\]"),
        ({"sequence_length": [1.0] * 5}, "integers from 0 to 4"),
        ({"sequence_length": [True] * 5}, "integers from 0 to 4"),
        ({"sequence_length": []}, "integers from 0 to 4"),
        ({"x": np.zeros([4, 0, 2]), "sequence_length": [3]}, "`sequence_length` of 0 integers from 0 to 4"),
        ({"activation": "swish"}, r"`activation` to be one of elu, hard_sigmoid, .*, tanh, got 'swish'"),
        ({"recurrent_activation": None}, r"`recurrent_activation` to be one of elu, hard_sigmoid, .*, tanh, got None"),
    ],
)
def test_bad_arguments(changed, message):
    with pytest.raises(ValueError, match="numpy_lstm.forward: expected .*" + message):
        numpy_lstm.forward(**dict({"layers": [LAYER], "x": np.zeros([4, 5, 2])}, **changed))


OUTPUTS, _, CACHE = numpy_lstm.forward([LAYER], np.zeros([4, 5, 2]))
HEAD = {"Wy": np.zeros([3, 2]), "by": np.zeros([2])}
Y, HEAD_CACHE = numpy_lstm.head_forward(HEAD, OUTPUTS)
_, PROJECTED_CACHE = numpy_lstm.projected_forward([{"W_c": np.ones([2, 3]), "W_h": np.ones([2, 3])}], np.ones([5, 2]))


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        ("backward", (OUTPUTS[0], None, CACHE), r"`d_outputs` of shape \(4, 5, 3\), got \(5, 3\)"),
        ("backward", (OUTPUTS, [], CACHE), r"`d_state` to be a list of one pair, \[\(c, h\)\], got"),
        ("head_forward", (dict(HEAD, by=np.zeros([3])), OUTPUTS), r"Wy \[H, Y\] and by \[Y\] for h .*\(4, 5, 3\), got"),
        ("head_forward", ({"Wy": HEAD["Wy"]}, OUTPUTS), r"Wy \[H, Y\] and by \[Y\]"),
        ("head_backward", (Y[0], HEAD_CACHE), r"`d_y` of shape \(4, 5, 2\), got \(5, 2\)"),
        ("cross_entropy", (np.zeros([4], int), HEAD_CACHE), r"`labels` of shape \(4, 5\), integers from 0 to 1, got"),
        ("cross_entropy", (np.full([4, 5], 2), HEAD_CACHE), "`labels` of shape"),
        ("cross_entropy", (np.full([4, 5], -1), HEAD_CACHE), "`labels` of shape"),
        ("cross_entropy", (np.zeros([4, 5]), HEAD_CACHE), "`labels` of shape"),
        (
            "cross_entropy",
            (np.zeros([4, 5], int), HEAD_CACHE, np.zeros([4, 5], bool)),
            "`counted` .* some of them true",
        ),
        ("cross_entropy", (np.zeros([4, 5], int), HEAD_CACHE, np.ones([4, 5])), "`counted` of shape .* booleans"),
        ("projected_backward", ([], PROJECTED_CACHE), r"`d_states` to be a list of one pair, \[\(c, h\)\], got"),
        ("projected_backward", ([(1.0, 1.0)], PROJECTED_CACHE), r"`d_states\[0\].c` of shape \(5, 3\), got \(\)"),
        ("head_forward", ({"Wy": np.zeros([3, 0]), "by": np.zeros([0])}, OUTPUTS), r"Wy \[H, Y\]"),
        ("projected_forward", ([], np.zeros([5, 2])), "at least one layer of `projections`"),
        ("projected_forward", ([{"W_c": 1}], np.zeros([5, 2])), r"`projections\[0\]` with W_c and W_h"),
        ("projected_forward", ([{"W_c": 1, "W_h": 1}], np.zeros([2])), r"`x` of shape \[batch, input\], got \(2,\)"),
        (
            "projected_forward",
            ([{"W_c": np.zeros([3, 2]), "W_h": np.zeros([2, 2])}], np.zeros([5, 2])),
            r"`projections\[0\]\['W_c'\]` of shape \(2, 2\), got \(3, 2\)",
        ),
    ],
)
def test_bad_arguments_of_other_functions(function, arguments, message):
    with pytest.raises(ValueError, match=f"numpy_lstm.{function}: expected .*{message}"):
        getattr(numpy_lstm, function)(*arguments)


def test_imports_only_numpy():
    """And files of the package that import nothing else either."""
    folder = os.path.dirname(numpy_lstm.__file__)
    modules = sorted(name[: -len(".py")] for name in os.listdir(folder) if name[0] != "_" and name.endswith(".py"))
    program = (
        "import sys, types; sys.modules['tensorflow'] = None; before = set(sys.modules)\n"
        "package = sys.modules['stacked_lstm'] = types.ModuleType('stacked_lstm')\n"
        f"package.__path__ = [{os.path.dirname(folder)!r}]\n"
        "import stacked_lstm.numpy_lstm\n"
        "print(sorted(m for m in sys.modules if m.startswith('stacked_lstm')))"
    )
    printed = subprocess.check_output([sys.executable, "-c", program]).decode().strip()
    parts = ["checks", "numpy_lstm", *(f"numpy_lstm.{module}" for module in modules), "state"]
    assert printed == str(["stacked_lstm"] + ["stacked_lstm." + part for part in parts])
