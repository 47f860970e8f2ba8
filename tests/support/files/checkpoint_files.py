"""Checkpoints and folders for the tests of files: where the golden ones are, small ones written, and read plainly."""

import os

import numpy as np

from stacked_lstm.compat import tf
from support.files import checkpoint_index, protobuf_fields
from support.suite.paths import OF_TENSORFLOW as GOLDEN

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


def hostile_checkpoint(path, sizes):
    """A checkpoint with right checksums whose bias has a shape of these sizes."""
    saved(path, cell("rnn/lstm_cell"))
    shape = protobuf_fields.serialize([(2, 2, protobuf_fields.serialize([(1, 0, size)])) for size in sizes])
    with open(f"{path}.index", "rb") as file:
        entries = checkpoint_index.read(file.read())
    for k, (key, value) in enumerate(entries):
        if key.endswith(b"bias"):
            fields = [(n, kind, shape if n == 2 else old) for n, kind, old in protobuf_fields.parse(value)]
            entries[k] = (key, protobuf_fields.serialize(fields))
    with open(f"{path}.index", "wb") as file:
        file.write(checkpoint_index.write(entries))
    return str(path)


def names_of(layers):
    return [layer.name for layer in layers]


def arrays_in(path):
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def folder(path):
    """name -> bytes of all files in a folder."""
    return {name: (path / name).read_bytes() for name in os.listdir(str(path))}
