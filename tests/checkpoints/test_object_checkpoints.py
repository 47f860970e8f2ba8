"""Checkpoints of tf.train.Checkpoint and of Keras, which name variables by the attributes that lead to them."""

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.compat import tf
from support.files.checkpoint_files import arrays_in, cell, names_of
from support.processes import programs
from support.references import numeric, plain_lstm

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def saved_objects(path, scopes, cells):
    """Writes a checkpoint of objects called `cells`, whose variables are in the scopes of a graph."""
    arrays = [cell(scope, seed=k) for k, scope in enumerate(scopes)]
    with tf.Graph().as_default(), tf.Session() as session:
        objects = {
            name: tf.train.Checkpoint(
                **{key.split("/")[-1]: tf.Variable(value, name=key) for key, value in own.items()}
            )
            for name, own in zip(cells, arrays)
        }
        root = tf.train.Checkpoint(step=tf.Variable(7, name="step"), **objects)
        session.run(tf.global_variables_initializer())
        return root.save(str(path), session=session), arrays


def test_cells(tmp_path):
    """The graph's names tell which objects are cells; other objects must be selected by name."""
    scopes = ["rnn/multi_rnn_cell/cell_0/basic_lstm_cell", "rnn/multi_rnn_cell/cell_1/lstm_cell", "dense"]
    path, arrays = saved_objects(tmp_path / "model", scopes, ["lower", "upper", "other"])
    checkpoint = checkpoints.read(path)
    assert names_of(checkpoint.layers) == ["lower", "upper"] and names_of(checkpoint.other_layers) == ["other"]
    for layer, own in zip(checkpoint.layers, arrays):
        assert all(files.same_bits(layer.arrays[name.split("/")[-1]], array) for name, array in own.items())
    assert {"step" + SUFFIX, "other/kernel" + SUFFIX} <= set(checkpoint.other_arrays)
    (layer,) = checkpoints.read(path, names="other").layers
    assert files.same_bits(layer.arrays["kernel"], arrays[2]["dense/kernel"])
    checkpoints.write(str(tmp_path / "own.ckpt"), checkpoint.layers[:1], "stacked_lstm")
    np.testing.assert_array_equal(
        arrays_in(tmp_path / "own.ckpt")["stacked_lstm/layer_1/bf"], arrays[0][scopes[0] + "/bias"][8:12] + 1
    )


def test_a_template_is_restored(tmp_path):
    path, _ = saved_objects(tmp_path / "model", ["rnn/lstm_cell"], ["mine"])
    layer = plain_lstm.float32_layers([4], 3)[0]
    checkpoints.write(str(tmp_path / "new"), [layer], "rnn_cell", template=path)
    with tf.Graph().as_default(), tf.Session() as session:
        kernel, step = tf.Variable(np.zeros([7, 16], np.float32)), tf.Variable(0)
        root = tf.train.Checkpoint(step=step, mine=tf.train.Checkpoint(kernel=kernel))
        root.restore(str(tmp_path / "new")).run_restore_ops(session)
        restored, number = session.run([kernel, step])
    np.testing.assert_array_equal(restored[:3, :4], layer["Wi"][4:])  # Rows of h are first in the common form.
    assert number == 7


KERAS = """
import sys, numpy as np, tensorflow as tf, tf_keras
x = np.random.RandomState(0).standard_normal([2, 5, 3]).astype("float32")
L = tf_keras.layers
model = tf_keras.Sequential([L.LSTM(4, return_sequences=True), L.Bidirectional(L.LSTM(6, return_sequences=True))])
model.compile("adam", "mse")
model.fit(x, np.zeros([2, 5, 12]), verbose=0)
for k, weights in enumerate(model.get_weights()):
    assert np.any(weights), k
model.save_weights(sys.argv[1] + "/weights", save_format="tf")
tf.train.Checkpoint(model=model).save(sys.argv[1] + "/objects")
np.savez(sys.argv[1] + "/golden.npz", x=x, y=model(x).numpy())
"""


@pytest.mark.skipif(tf.__version__.startswith("1."), reason="TensorFlow 1.15 can have no tf-keras")
def test_keras(tmp_path):
    """What Keras computed with the weights that it saved."""
    programs.check(["-c", KERAS, tmp_path])
    golden = np.load(str(tmp_path / "golden.npz"))
    for name in ("weights", "objects-1"):
        below, forward, backward = checkpoints.read(tmp_path / name).layers
        assert [layer.direction for layer in (below, forward, backward)] == ["forward", "forward", "backward"]
        y, _ = plain_lstm.run([below.weights], golden["x"])
        sides = [plain_lstm.run([forward.weights], y)[0], plain_lstm.run([backward.weights], y, backward=True)[0]]
        numeric.check_same({"y": np.concatenate(sides, 2)}, {"y": golden["y"]}, 1e-6)
