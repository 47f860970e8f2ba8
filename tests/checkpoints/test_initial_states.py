"""Learned and projected initial states: kept where a format has a place for them, never dropped without a word."""

import os

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, checkpoints, numpy_lstm
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.compat import tf
from support.files.checkpoint_files import arrays_in, folder
from support.networks.initial_states import INPUT_SIZE, SIZES, X, random_states, saved_stack
from support.references import numeric, plain_lstm


def starts(kind, states, x):
    """The states [B, H] that NumPy starts from."""
    if kind == "projected":
        return numpy_lstm.projected_forward(states, x[0])[0]
    return [tuple(np.tile(state[key], [x.shape[1], 1]) for key in "ch") for state in states]


def expected_outputs(kind, layers, states, x=X):
    return numpy_lstm.forward(layers, x, starts(kind, states, x))[0]


KINDS = pytest.mark.parametrize("kind", ["learned", "projected"])


@KINDS
def test_onnx_computes_it(kind, tmp_path):
    """For any size of the batch, in ONNX's evaluator and, if it is installed, in ONNX Runtime."""
    pytest.importorskip("onnx", reason="onnx is not installed (the extra `test` brings it)")
    from onnx import reference

    layers, states = saved_stack(tmp_path / "model.ckpt", kind)
    target = str(tmp_path / "new.onnx")
    checkpoints.write(target, checkpoints.read(tmp_path / "model.ckpt").layers, scope="net.")
    runs = [reference.ReferenceEvaluator(target).run]
    try:
        import onnxruntime

        runs.append(onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"]).run)
    except ImportError:
        pass
    for batch in (6, 1):
        expected = expected_outputs(kind, layers, states, X[:, :batch])
        assert np.max(np.abs(expected - numpy_lstm.forward(layers, X[:, :batch])[0])) > 0.05
        for run in runs:
            numeric.check_same({"y": run(None, {"x": X[:, :batch]})[0]}, {"y": expected}, 1e-6)
    for reread, state in zip(checkpoints.read(target).layers, states):
        assert set(reread.initial_state) == set(state)
        assert all(files.same_bits(reread.initial_state[key], state[key]) for key in state)


@KINDS
def test_a_stack_restores_it_under_another_name(kind, tmp_path):
    """The optimizer's slots follow."""
    layers, states = saved_stack(tmp_path / "model.ckpt", kind)
    checkpoint = checkpoints.read(tmp_path / "model.ckpt")
    for layer, state in zip(checkpoint.layers, states):
        assert set(layer.initial_state) == set(state)
        assert all(files.same_bits(layer.initial_state[key], state[key]) for key in state)
    assert not any(name.endswith(("/c", "/h", "/W_c", "/W_h")) for name in checkpoint.other_arrays)
    target = str(tmp_path / "own.ckpt")
    checkpoints.write(target, checkpoint.layers, "stacked_lstm", scope="mine/new", other_arrays=checkpoint.other_arrays)
    old, new = arrays_in(tmp_path / "model.ckpt"), arrays_in(target)
    assert {name.replace("encoder/", "mine/new/") for name in old} == set(new)
    key = "c" if kind == "learned" else "W_c"
    slot = "encoder/initial_state/layer_2/" + key + "/Adam"
    assert files.same_bits(new[slot.replace("encoder", "mine/new")], old[slot])
    with tf.Graph().as_default(), tf.Session() as session:
        lstm = StackedLSTM(SIZES, initial_state=kind, name="mine/new")
        outputs, _ = lstm(X, time_major=True)
        tf.train.Saver(lstm.variables).restore(session, target)
        numeric.check_same({"y": session.run(outputs)}, {"y": expected_outputs(kind, layers, states)}, 1e-6)


@KINDS
@pytest.mark.parametrize("target", ["new.npz", "new.weights.h5", "new.h5", "cell.ckpt"])
def test_formats_without_a_place(kind, target, tmp_path):
    saved_stack(tmp_path / "model.ckpt", kind)
    source, path = checkpoints.read(tmp_path / "model.ckpt"), str(tmp_path / target)
    layers = [layer._replace(weights=plain_lstm.float32_layers([4], 4)[0]) for layer in source.layers]
    layers[0] = layers[0]._replace(weights=plain_lstm.float32_layers([4], INPUT_SIZE)[0])
    layers[1].initial_state.update(random_states(kind, [4, 4])[1])
    before, format = folder(tmp_path), "rnn_cell" if target == "cell.ckpt" else None
    names = ", ".join(
        f"encoder/initial_state/layer_{k}/{key}" for k in (1, 2) for key in sorted(layers[0].initial_state)
    )
    with pytest.raises(
        ValueError, match=r"expected `initial_state=\[\]`, since a new file with the layout .* got " + names
    ):
        checkpoints.write(path, layers, format)
    assert folder(tmp_path) == before
    checkpoints.write(path, layers, format, initial_state=[])
    assert len(checkpoints.read(path).layers) == 2


@KINDS
def test_from_get_weights(kind, tmp_path, session):
    lstm = StackedLSTM(SIZES, initial_state=kind)
    lstm(X, time_major=True)
    session.run(tf.global_variables_initializer())
    lstm.set_weights(session, initial_state=random_states(kind))
    weights = lstm.get_weights(session)
    path = str(tmp_path / "own.ckpt")
    checkpoints.write(path, weights.layers, "stacked_lstm", initial_state=weights.initial_state)
    assert all(
        files.same_bits(arrays_in(path)[f"stacked_lstm/initial_state/layer_{k + 1}/{key}"], array)
        for k, state in enumerate(weights.initial_state)
        for key, array in state.items()
    )


@KINDS
def test_templates(kind, tmp_path):
    """A template with the same kind of initial state gets the new one; another one has no place for it."""
    saved_stack(tmp_path / "model.ckpt", kind)
    layers = checkpoints.read(tmp_path / "model.ckpt").layers
    changed = [
        layer._replace(initial_state={key: array + 1 for key, array in layer.initial_state.items()}) for layer in layers
    ]
    target = str(tmp_path / "own.ckpt")
    checkpoints.write(target, changed, "stacked_lstm", template=tmp_path / "model.ckpt")
    for layer, reread in zip(changed, checkpoints.read(target).layers):
        assert all(files.same_bits(reread.initial_state[key], array) for key, array in layer.initial_state.items())
    checkpoints.write(str(tmp_path / "zeros.ckpt"), layers, "stacked_lstm", initial_state=[])
    with pytest.raises(ValueError, match=r"`initial_state=\[\]`, since stacked_lstm/layer_1 of the template has no"):
        checkpoints.write(str(tmp_path / "no.ckpt"), layers, "stacked_lstm", template=tmp_path / "zeros.ckpt")


def test_wrong_initial_states(tmp_path):
    path, layers = str(tmp_path / "own.ckpt"), plain_lstm.float32_layers(SIZES, INPUT_SIZE)
    projected, learned = random_states("projected"), random_states("learned")
    for states, message in [
        (projected[:1], "to have a mapping for each of 2 layers, or none, got 1"),
        ([projected[0], learned[1]], r"to have .*'W_c': .'float32', .2, 4..* for layer 1|for layer 2, got"),
        ([{}, projected[1]], "for layer 1, got {}"),
        ([{"c": learned[0]["c"]}, learned[1]], "for layer 1, got {'c'"),
        (random_states("learned", dtype=np.float64), "'float32'.* for layer 1, got .*'float64'"),
        (random_states("learned", [4, 4]), r"for layer 2, got .*\(4,\)"),
    ]:
        with pytest.raises(ValueError, match="checkpoints.write: expected `initial_state` .*" + message):
            checkpoints.write(path, layers, "stacked_lstm", initial_state=states)
    assert os.listdir(str(tmp_path)) == []


def test_upper_layers_cannot_be_projected_from_their_own_input(tmp_path):
    saved_stack(tmp_path / "model.ckpt", "projected")
    upper = checkpoints.read(tmp_path / "model.ckpt", names=".*layer_2").layers
    with pytest.raises(ValueError, match="`layers` to begin with the lowest one, .* got encoder/layer_2"):
        checkpoints.write(str(tmp_path / "new.ckpt"), upper, "stacked_lstm")
    checkpoints.write(str(tmp_path / "new.ckpt"), upper, "stacked_lstm", initial_state=[])
    saved_stack(tmp_path / "learned.ckpt", "learned")
    upper = checkpoints.read(tmp_path / "learned.ckpt", names=".*layer_2").layers
    checkpoints.write(str(tmp_path / "upper.ckpt"), upper, "stacked_lstm")
    (reread,) = checkpoints.read(str(tmp_path / "upper.ckpt")).layers
    np.testing.assert_array_equal(reread.initial_state["c"], upper[0].initial_state["c"])
