"""Checkpoints and folders for the tests of files: where the golden ones are, small ones written, and read plainly."""

import os

import numpy as np

from stacked_lstm.compat import tf
from support.paths import OF_TENSORFLOW as GOLDEN

PROGRAM = os.path.join(GOLDEN, "program.ckpt")


def saved(path, arrays, version=tf.train.SaverDef.V2):
    """Writes a checkpoint of variables with TensorFlow's own Saver; returns its prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {
            name: tf.Variable(tf.constant(array) if isinstance(array, bytes) else array, name=name)
            for name, array in arrays.items()
        }
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(variables, write_version=version).save(session, str(path), write_meta_graph=False)


def cell(scope, input_size=3, units=4, names=("kernel", "bias"), seed=0):
    random = np.random.RandomState(seed)
    arrays = [random.standard_normal([input_size + units, 4 * units]), random.standard_normal([4 * units])]
    return {f"{scope}/{name}": array.astype(np.float32) for name, array in zip(names, arrays)}


def names_of(layers):
    return [layer.name for layer in layers]


def arrays_in(path):
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def folder(path):
    """name -> bytes of all files in a folder."""
    return {name: (path / name).read_bytes() for name in os.listdir(str(path))}
