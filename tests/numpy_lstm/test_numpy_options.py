"""The options of `numpy_lstm`: every gradient by central differences, over random combinations of all options."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stacked_lstm import LSTMState, numpy_lstm
from support.networks.random_networks import flat
from support.networks.random_options import BATCH, STEPS, Network
from support.references import numeric
from support.suite.sets import ONCE

ALL = {
    "dropout": True,
    "recurrent_mask": "constant",
    "candidate_mask": True,
    "zoneout": "noise",
    "layer_norm": True,
    "cell_clip": True,
    "projection_size": 2,
    "projection_clip": True,
    "peepholes": True,
    "residual": True,
    "reset": "steps",
}


class Loss:
    """A number that depends on all outputs and final states of a `Network`."""

    def __init__(self, network):
        self.network = network

    def __call__(self):
        n = self.network
        outputs, state, self.cache = n.forward()
        total = np.sum(outputs * n.d_outputs)
        return total + sum(np.sum(s * d) for pair in zip(state, n.d_state) for s, d in zip(*pair))

    def gradients(self):
        """name -> (array, its gradient)."""
        self()
        n = self.network
        arrays = {"layers": n.layers, "x": n.x, "initial_state": n.start}
        arrays = flat(arrays if n.reset is None else dict(arrays, reset_states=n.restarts))
        gradients = flat(numpy_lstm.backward(n.d_outputs, n.d_state, self.cache))
        assert sorted(arrays) == sorted(gradients)
        return {name: (array, gradients[name]) for name, array in arrays.items()}

    def check(self):
        """Compares each entry of all gradients with a central difference."""
        for name, (array, gradient) in self.gradients().items():
            expected = numeric.gradient_by_differences(self, array)
            difference = np.max(np.abs(gradient - expected))
            assert difference < 1e-6 * max(np.max(np.abs(expected)), 1e-2), (name, difference)

    def check_in_one_direction(self):
        """Compares the derivative in a random direction of each array with a central difference."""
        for name, (array, gradient) in self.gradients().items():
            point, direction = array.copy(), np.random.RandomState(1).standard_normal(array.shape)

            def move(values, array=array):
                array[:] = values[0]
                return self()

            expected = numeric.central_difference(move, [point], [direction])
            array[:] = point
            difference = abs(np.sum(gradient * direction) - expected)
            assert difference < 1e-6 * max(abs(expected), 0.1), (name, difference)


@ONCE
@pytest.mark.parametrize("option", sorted(ALL))
def test_every_option_by_itself(option):
    """By central differences. The option changes the result."""
    values = {option: ALL[option]}
    if option == "projection_clip":
        values["projection_size"] = 2
    network = Network(values)
    Loss(network).check()
    if option != "projection_size":
        changes_arrays = option in ("layer_norm", "peepholes", "reset")
        plain = Network({}) if changes_arrays else network.without(option)
        assert numeric.relative_difference(network.forward()[0], plain.forward()[0]) > 1e-3


COMBINATIONS = st.fixed_dictionaries(
    {
        "dropout": st.booleans(),
        "recurrent_mask": st.sampled_from([None, "constant", "steps"]),
        "candidate_mask": st.booleans(),
        "zoneout": st.sampled_from([None, "noise", "expectation"]),
        "layer_norm": st.sampled_from([False, True, "tensorflow"]),
        "cell_clip": st.booleans(),
        "projection_size": st.sampled_from([None, 2]),
        "projection_clip": st.booleans(),
        "peepholes": st.booleans(),
        "residual": st.booleans(),
        "use_bias": st.booleans(),
        "lengths": st.booleans(),
        "reset": st.sampled_from([None, "batch", "steps"]),
        "activation": st.sampled_from(["tanh", "sigmoid"]),
    }
)


@ONCE
@settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])
@given(COMBINATIONS)
def test_random_combinations(options):
    Loss(Network(options)).check_in_one_direction()


def test_clips_are_active_on_both_sides():
    """In the networks of these tests some states are below each clip, some between, some above."""
    network = Network({"cell_clip": True, "projection_clip": True, "projection_size": 2})
    _, _, cache = network.forward()
    for k, options in enumerate(network.options):
        sums = np.stack([step.sum for step in cache.steps[k]])
        products = np.stack([step.projected for step in cache.steps[k]])
        for values, bound in [(sums, options.cell_clip), (products, options.projection_clip)]:
            assert np.any(values > bound) and np.any(values < -bound) and np.any(np.abs(values) < bound)


def test_zoneout_keeps_and_its_expectation_is_the_mean():
    """Noise of 1 keeps the state, noise of 0 is the plain step, and a share mixes the two."""
    network = Network({})
    plain = network.forward()[1]
    kept = network.with_options(zoneout_c=1.0, zoneout_h=1.0).forward()[1]
    for before, after in zip(network.start, kept):
        numeric.check_same(after._asdict(), before._asdict(), 0)
    none = network.with_options(zoneout_c=np.zeros([STEPS, 1, 1]), zoneout_h=0.0).forward()[1]
    for actual, expected in zip(none, plain):
        numeric.check_same(actual._asdict(), expected._asdict(), 1e-15)
    one_step = network.cut(1)
    mixed = one_step.with_options(zoneout_c=0.25, zoneout_h=0.75).forward()[1][0]
    c, h = one_step.forward()[1][0]
    assert numeric.relative_difference(mixed.c, 0.25 * network.start[0].c + 0.75 * c) < 1e-15
    assert numeric.relative_difference(mixed.h, 0.75 * network.start[0].h + 0.25 * h) < 1e-15


@pytest.mark.parametrize("layer_norm", [True, "tensorflow"])
def test_default_epsilon(layer_norm):
    """The variance of three numbers plus the constant that the docstring names."""
    epsilon = {True: 1e-5, "tensorflow": 1e-12}[layer_norm]
    network = Network({"layer_norm": layer_norm})
    expected = network.with_options(epsilon=epsilon).forward()[0]
    np.testing.assert_array_equal(network.with_options(epsilon=None).forward()[0], expected)
    assert np.any(network.with_options(epsilon=3 * epsilon).forward()[0] != expected)


def test_normalized_pre_activations_do_not_depend_on_the_scale_of_weights():
    """What layer normalization is for: weights times a constant change nothing, except through epsilon."""
    network = Network({"layer_norm": True}).with_options(epsilon=1e-14)
    before = network.forward()[0]
    for layer in network.layers:
        for name in ("Wf", "Wi", "Wo", "Wc"):
            layer[name] *= 7
    assert numeric.relative_difference(network.forward()[0], before) < 1e-10


@pytest.mark.parametrize(
    "options, expected",
    [
        ([numpy_lstm.LayerOptions()], "`options` to be a list of 2 LayerOptions, one per layer"),
        ({}, "`options` to be a list of 2 LayerOptions"),
        (dict(input_mask=np.ones([2, 2])), "`options[0].input_mask` that broadcasts to shape (6, 4, 3), got (2, 2)"),
        (dict(recurrent_mask=np.ones([5, 4, 3])), "`options[0].recurrent_mask` that broadcasts to shape (6, 4, 3)"),
        (dict(layer_norm="ba"), "`options[0].layer_norm` to be True or 'tensorflow', got 'ba'"),
        (dict(cell_clip=0.0), "`options[0].cell_clip` to be None or a positive, finite number, got 0.0"),
        (dict(cell_clip="a"), "`options[0].cell_clip` to be None or a positive, finite number, got 'a'"),
        (dict(cell_clip=True), "`options[0].cell_clip` to be None or a positive, finite number, got True"),
        (dict(cell_clip=np.inf), "`options[0].cell_clip` to be None or a positive, finite number, got inf"),
        (dict(recurrent_mask=None), "`options[0].recurrent_mask` to be a number or an array of numbers, got None"),
        (dict(projection_clip=1.0), "`options[0].projection_clip` with Wp in the layer, got a layer without Wp"),
        (dict(candidate_mask="a"), "`options[0].candidate_mask` to be a number or an array of numbers, got 'a'"),
        (dict(zoneout_c=1.5), "`options[0].zoneout_c` of numbers from 0 to 1, got 1.5"),
        (dict(zoneout_h=np.full([4, 3], -0.1)), "`options[0].zoneout_h` of numbers from 0 to 1, got an array"),
        (dict(epsilon=-1.0), "`options[0].epsilon` to be None or a number from 0 on, got -1.0"),
        (dict(epsilon=True), "`options[0].epsilon` to be None or a number from 0 on, got True"),
        (dict(residual="after layer 1"), "`options[0].residual` to be True or False, got 'after layer 1'"),
    ],
)
def test_bad_options(options, expected):
    network = Network({})
    if isinstance(options, dict) and options:
        network = network.with_options(**options)
    else:
        network.options = options
    with pytest.raises(ValueError) as error:
        network.forward()
    assert expected in str(error.value)


def test_bools_of_numpy():
    """The kind of layer normalization may be one. layer_norm=True differs from "tensorflow"."""
    network = Network({"layer_norm": True})
    kinds = [True, np.bool_(True), "tensorflow"]
    plain, numpy_bool, other = (network.with_options(layer_norm=kind).forward()[0] for kind in kinds)
    np.testing.assert_array_equal(numpy_bool, plain)
    assert np.abs(other - plain).max() > 1e-3


@pytest.mark.parametrize("shape", [[3], [4, 1], [1, 1, 1], [1, 4, 3], [6, 1, 3]])
def test_masks_broadcast(shape):
    """One entry for all steps may have an axis of time."""
    mask = np.random.RandomState(0).uniform(0.5, 2, shape)
    whole = mask * np.ones([STEPS, BATCH, 3])
    for name in ("input_mask", "recurrent_mask", "candidate_mask"):
        outputs, whole_outputs = (Network({}).with_options(**{name: value}).forward()[0] for value in (mask, whole))
        np.testing.assert_array_equal(outputs, whole_outputs)
    layers, x = Network({}).layers, Network({}).x
    outputs, whole_outputs = (numpy_lstm.forward(layers, x, output_mask=value)[0] for value in (mask, whole))
    np.testing.assert_array_equal(outputs, whole_outputs)


def test_residual_over_unequal_widths():
    layers = Network({"projection_size": 2}).layers[:1]
    with pytest.raises(ValueError, match="as wide as its input for `options.0..residual`, got input 3, output 2"):
        numpy_lstm.forward(layers, np.zeros([1, 1, 3]), options=[numpy_lstm.LayerOptions(residual=True)])


def test_a_reset_is_the_start_of_another_sequence():
    """Steps after a reset equal those of a separate call, also after NaN. Resets past the end change nothing."""
    network = Network({"reset": "batch", "peepholes": True})
    network.reset = np.zeros([STEPS, BATCH], bool)
    network.reset[2, 1] = network.reset[5, 2] = True
    network.lengths, network.x[:2, 1] = [6, 6, 4, 6], np.nan
    outputs, state, _ = network.forward()
    layers, starts = network.layers, [LSTMState(*[part[1:2] for part in pair]) for pair in network.restarts]
    expected, expected_state, _ = numpy_lstm.forward(layers, network.x[2:, 1:2], starts)
    assert numeric.relative_difference(outputs[2:, 1:2], expected) < 1e-14
    assert numeric.relative_difference(state[1].c[1:2], expected_state[1].c) < 1e-14
    assert np.all(np.isnan(outputs[:2, 1])) and np.all(np.isfinite(outputs[:, [0, 2, 3]]))
    network.reset[:] = False
    np.testing.assert_array_equal(network.forward()[0][:, [0, 2, 3]], outputs[:, [0, 2, 3]])


@pytest.mark.parametrize(
    "reset, states, expected",
    [
        (np.zeros([STEPS, BATCH]), None, "`reset` of booleans, of shape (6, 4), got"),
        (np.zeros([BATCH, STEPS], bool), None, "`reset` of booleans, of shape (6, 4), got"),
        (None, [], "no `reset_states` without `reset`, got []"),
        (np.zeros([STEPS, BATCH], bool), [], "`reset_states` to be a list of 2 pairs (c, h), one per layer, got []"),
        (np.zeros([STEPS, BATCH], bool), [(np.zeros([4, 3]), np.zeros([1, 3]))] * 2, "`reset_states[0].h` of shape"),
    ],
)
def test_bad_resets(reset, states, expected):
    network = Network({})
    network.reset, network.restarts = reset, states
    with pytest.raises(ValueError) as error:
        network.forward()
    assert expected in str(error.value)


@pytest.mark.parametrize("name", ["pf", "gain_cell", "shift_cell", "Wp"])
def test_missing_arrays(name):
    """Arrays of an option are all there or all missing. Without Wp, the matrices have other shapes."""
    layers = Network({"peepholes": True, "layer_norm": True, "projection_size": 2}).layers
    with pytest.raises(ValueError, match="numpy_lstm.forward: expected `layers.0."):
        numpy_lstm.forward([{n: a for n, a in layers[0].items() if n != name}], np.zeros([1, 1, 3]))
