"""The variables of options: names, shapes, values per layer, and checkpoints."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, checkpoints
from stacked_lstm.compat import tf
from support.references import numeric


def test_values_per_layer(plain_session):
    """A list has a value per layer; layers without an option have no variables of it."""
    lstm = StackedLSTM([4, 5, 6], projection_size=[3, None, 2], layer_norm=[False, True, False], cell_clip=[None, 1, 2])
    lstm.build(2)
    shapes = [{name: v.shape.as_list() for name, v in layer.items()} for layer in lstm.variables_by_layer.layers]
    assert shapes[0]["Wf"] == [3 + 2, 4] and shapes[1]["Wf"] == [5 + 3, 5] and shapes[2]["Wf"] == [2 + 5, 6]
    assert [("Wp" in layer, "gain_f" in layer) for layer in shapes] == [(True, False), (False, True), (True, False)]
    outputs, state = lstm(tf.zeros([1, 1, 2]))
    assert outputs.shape.as_list() == [1, 1, 2]
    assert [[part.shape.as_list()[1] for part in pair] for pair in state] == [[4, 3], [5, 5], [6, 2]]


def test_names_and_shapes_of_variables(plain_session):
    """A contract with checkpoints. Gains start from one, shifts from zero, and weights can be read and set."""
    lstm = StackedLSTM([4], peepholes=True, projection_size=3, layer_norm=True, initial_state="learned", name="decoder")
    lstm.build(2)
    shapes = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
    expected = {f"decoder/layer_1/W{gate}": [3 + 2, 4] for gate in "fico"}
    vectors = "bf bi bc bo pf pi po gain_f gain_i gain_c gain_o gain_cell shift_cell".split()
    expected.update({f"decoder/layer_1/{name}": [4] for name in vectors})
    expected["decoder/layer_1/Wp"] = [4, 3]
    expected.update({"decoder/initial_state/layer_1/c": [4], "decoder/initial_state/layer_1/h": [3]})
    assert shapes == expected
    assert lstm.variables == tf.trainable_variables() and len(lstm.layers[0].variables) == len(expected) - 2
    plain_session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(plain_session)
    np.testing.assert_array_equal(weights.layers[0]["gain_cell"], np.ones([4]))
    np.testing.assert_array_equal(weights.layers[0]["shift_cell"], np.zeros([4]))
    assert np.all(np.abs(weights.layers[0]["pf"]) <= 1 / np.sqrt(4)) and np.all(weights.layers[0]["pf"] != 0)
    weights.layers[0]["gain_f"][:] = 7
    lstm.set_weights(plain_session, *weights)
    np.testing.assert_array_equal(plain_session.run(lstm.layers[0].gain_f), [7.0] * 4)


def test_layer_norm_without_biases_has_no_shifts():
    lstm = StackedLSTM([4], layer_norm=True, use_bias=False)
    lstm.build(2)
    assert sorted(lstm.variables_by_layer.layers[0]) == sorted(
        ["Wf", "Wi", "Wo", "Wc", "gain_f", "gain_i", "gain_o", "gain_c", "gain_cell"]
    )


CHECKPOINTS = {
    "norm": dict(layer_norm=True),
    "norm_without_biases": dict(layer_norm="tensorflow", use_bias=False),
    "extras": dict(peepholes=True, projection_size=3),
    "all": dict(layer_norm=True, peepholes=True, projection_size=3, initial_state="learned"),
    "projected": dict(layer_norm=True, projection_size=[2, None], initial_state="projected"),
}


def test_checkpoints_carry_the_arrays_of_options(plain_session, tmp_path):
    """Arrays that are written, restored by a Saver, saved, read and set keep their bits, also those of Adam."""
    stacks = {name: StackedLSTM([4, 3], name=name, bias_initializer="tn", **CHECKPOINTS[name]) for name in CHECKPOINTS}
    loss = tf.add_n([tf.reduce_sum(lstm(tf.ones([1, 2, 2]))[0]) for lstm in stacks.values()])
    step = tf.train.AdamOptimizer(0.1).minimize(loss)
    plain_session.run(tf.global_variables_initializer())
    plain_session.run(step)
    saved = tf.train.Saver().save(plain_session, str(tmp_path / "saved"))
    values = {name: lstm.get_weights(plain_session) for name, lstm in stacks.items()}
    plain_session.run(tf.global_variables_initializer())
    for name, lstm in stacks.items():
        layers = checkpoints.read(saved, names=f"{name}/.*").layers
        for layer, expected in zip(layers, values[name].layers):
            assert ("norm" in layer.remark) == ("layer_norm" in CHECKPOINTS[name])
            numeric.check_same(layer.weights, expected, 0)
            (momentum, _) = layer.slots.values()
            assert sorted(momentum) == sorted(expected) and np.any(momentum["Wf"])
        path = str(tmp_path / name)
        checkpoints.write(path, layers, "stacked_lstm", scope=name)
        tf.train.Saver(lstm.variables).restore(plain_session, path)
        for part in ("layers", "initial_state"):
            pairs = zip(getattr(lstm.get_weights(plain_session), part), getattr(values[name], part))
            for actual, expected in pairs:
                numeric.check_same(actual, expected, 0)


@pytest.mark.parametrize(
    "file, format", [("a.npz", None), ("a.h5", None), ("a", "rnn_cell"), ("a", "cudnn_compatible")]
)
def test_files_without_a_place_for_gains_refuse_them(file, format, plain_session, tmp_path):
    lstm = StackedLSTM([4], layer_norm=True)
    lstm.build(2)
    plain_session.run(tf.global_variables_initializer())
    with pytest.raises(ValueError, match="the layer has layer normalization, for which the layout '.*' has no place"):
        checkpoints.write(str(tmp_path / file), lstm.get_weights(plain_session).layers, format)
    assert not list(tmp_path.iterdir())
