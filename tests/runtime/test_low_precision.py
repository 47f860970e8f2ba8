"""Weights in bfloat16 and int8, beside float64 NumPy whose weights were rounded here."""

import numpy as np
import pytest

from stacked_lstm import numpy_lstm, runtime
from support.engines.runtime import NEEDS_KERNELS
from support.networks.random_networks import random_layers, random_states
from support.references.numeric import relative_difference
from support.suite.sets import ONCE

pytestmark = NEEDS_KERNELS

MATRICES = ("Wf", "Wi", "Wc", "Wo")
RANDOM = np.random.RandomState(9)


def to_bfloat16(matrix):
    """The nearest multiple of 2 ** (exponent - 7), the even one of two: `np.rint` of a fraction of 8 bits."""
    fraction, exponent = np.frexp(np.float32(matrix).astype(np.float64))
    return np.ldexp(np.rint(fraction * 256), exponent - 8)


def to_int8(matrix):
    matrix = np.float32(matrix)
    scale = np.abs(matrix).max(axis=0) / np.float32(127)
    return np.float64(np.rint(matrix / np.where(scale > 0, scale, 1))) * scale


ROUNDING = {"bfloat16": to_bfloat16, "int8": to_int8}


def rounded(layers, weights_dtype):
    return [
        {name: ROUNDING[weights_dtype](array) if name in MATRICES else array for name, array in layer.items()}
        for layer in layers
    ]


@ONCE
@pytest.mark.parametrize("weights_dtype", sorted(ROUNDING))
@pytest.mark.parametrize(
    "steps, batch, input_size, hidden_sizes, threads, use_bias",
    [
        (6, 4, 3, [5], 1, True),
        (1, 1, 1, [1], 1, False),
        (9, 7, 17, [33, 16, 8], 2, True),
        (40, 24, 8, [32, 32], 3, False),  # Threads share the rows, or have a layer each.
        (7, 1, 150, [200], 1, True),  # Deeper than half a panel's block in a tile of 16 registers.
        (4, 7, 100, [200, 130], 2, True),
    ],
)
def test_numbers(steps, batch, input_size, hidden_sizes, threads, use_bias, weights_dtype):
    layers = random_layers(RANDOM, hidden_sizes, input_size, use_bias, scale=0.3)
    layers[0]["Wi"][:, 0] = 0  # A column without a scale.
    x = RANDOM.standard_normal([steps, batch, input_size])
    start = random_states(RANDOM, hidden_sizes, batch)
    lengths = RANDOM.randint(0, steps + 1, batch)
    lengths[0] = steps
    witness = rounded(layers, weights_dtype)
    expected, expected_state, _ = numpy_lstm.forward(witness, x, initial_state=start, sequence_length=lengths)
    predictor = runtime.Predictor(layers, weights_dtype=weights_dtype, threads=threads)
    plain = runtime.Predictor(witness, threads=threads)
    outputs, state = predictor(x, lengths, start, time_major=True)
    plain_outputs, _ = plain(x, lengths, start, time_major=True)
    assert outputs.dtype == state[0].c.dtype == np.float32
    assert relative_difference(outputs, expected) < 1e-5 and relative_difference(outputs, plain_outputs) < 1e-5
    for pair, expected_pair in zip(state, expected_state):
        assert all(relative_difference(array, expected) < 1e-5 for array, expected in zip(pair, expected_pair))
    unrounded, _, _ = numpy_lstm.forward(layers, x, initial_state=start, sequence_length=lengths)
    assert hidden_sizes == [1] or relative_difference(outputs, unrounded) > 1e-4


def gates_of(weights, weights_dtype):
    """The products of one unit: c after one step from zeros, with linear activations and the weights in Wc."""
    layer = {name: np.zeros([2, 1]) for name in MATRICES}
    biases = {"bi": np.ones(1), "bf": np.zeros(1), "bo": np.zeros(1), "bc": np.zeros(1)}
    results = []
    for weight in weights:
        layer["Wc"] = np.array([[0], [weight]], np.float32)
        arguments = {"activation": "linear", "recurrent_activation": "linear", "weights_dtype": weights_dtype}
        _, state = runtime.Predictor([dict(layer, **biases)], threads=1, **arguments)(np.ones([1, 1, 1]))
        results.append(state[0].c[0, 0])
    return np.array(results)


def test_rounding_to_bfloat16():
    step = 2.0**-7  # Between neighbors of 1.
    weights = [1, 1 + step / 2, 1 + 3 * step / 2, 1 + 0.51 * step, 1 + 0.49 * step, -1 - 3 * step / 2, 3.4e38, 1e-30]
    expected = [1, 1, 1 + 2 * step, 1 + step, 1, -1 - 2 * step, np.inf, to_bfloat16(1e-30)]
    assert np.array_equal(gates_of(weights, "bfloat16"), np.float32(expected))
    signaling = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(gates_of(signaling, "bfloat16")).all()
    assert np.array_equal(gates_of([np.inf, -np.inf], "bfloat16"), [np.inf, -np.inf])


def test_scales_of_int8():
    """One scale per column and gate, for h and x together; the bias is not rounded."""
    assert np.allclose(gates_of([1, -3e30, 5e-30, 0], "int8"), [1, -3e30, 5e-30, 0], rtol=1e-6, atol=0)
    assert abs(gates_of([2e-45], "int8")[0]) <= 127 * 2e-45
    layers = random_layers(RANDOM, [3], 2)
    layers[0].update((name, np.zeros([5, 3])) for name in MATRICES)
    outputs, _ = runtime.Predictor(layers, weights_dtype="int8")(np.ones([1, 3, 2]))
    assert np.array_equal(outputs, runtime.Predictor(layers)(np.ones([1, 3, 2]))[0])


def test_description(tmp_path):
    layers = random_layers(RANDOM, [20, 7], 3)
    path = str(tmp_path / "model.npz")
    runtime.save(path, layers)
    numbers = 4 * (23 * 20 + 27 * 7)
    for weights_dtype, size in ((None, 4), ("bfloat16", 2), ("int8", 1)):
        predictor = runtime.load(path, weights_dtype=weights_dtype)
        assert predictor.weights_dtype == weights_dtype and predictor.weights_bytes == size * numbers
        assert (f"weights in {weights_dtype}" in repr(predictor)) == (weights_dtype is not None)


def test_messages():
    layers = random_layers(RANDOM, [3, 2], 2)
    with pytest.raises(ValueError, match="expected `dtype` float32 with `weights_dtype` int8, got float64"):
        runtime.Predictor(layers, dtype="float64", weights_dtype="int8")
    with pytest.raises(ValueError, match="weights_dtype.*bfloat16, int8.*float16"):
        runtime.Predictor(layers, weights_dtype="float16")
    layers[1]["Wo"][2, 1] = np.nan
    with pytest.raises(ValueError, match=r"finite numbers in `layers\[1\]\['Wo'\]` with `weights_dtype` int8, got nan"):
        runtime.Predictor(layers, weights_dtype="int8")
    assert np.isnan(runtime.Predictor(layers, weights_dtype="bfloat16")(np.ones([1, 1, 2]))[0]).any()
