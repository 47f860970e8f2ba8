"""Writes the golden files of `tf.contrib.cudnn_rnn.CudnnLSTM`, in tensorflow_1_15/.

Python 3.7, pip install "tensorflow==1.15.5" "protobuf<3.21" "numpy<1.19"

A CPU can build a CudnnLSTM, but it cannot run it. Names, shapes and the conversion of weights are those of its code.
The numbers are those of the cells that TensorFlow documents as its equal on a CPU, CudnnCompatibleLSTMCells.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from golden.files import BATCH, INPUT, TIME, path, random_state

LAYERS, UNITS, LENGTHS = 2, 4, [5, 2, 0]
DIRECTIONS = ("unidirectional", "bidirectional")


def cudnn_layers():
    """Writes cudnn_layers_<direction>.ckpt.* and cudnn_layers.npz.

    The checkpoints have what a Saver saves of a CudnnLSTM. The archive has, by `<direction>/<key>`, the inputs, the
    initial h and c, the outputs, the final h and c, the gradient of the variable, and its initial value with seed 3.
    """
    archive = {}
    for direction in DIRECTIONS:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(5)
            archive.update({f"{direction}/{key}": array for key, array in _write(direction, session).items()})
    np.savez_compressed(path("tensorflow_1_15", "cudnn_layers.npz"), **archive)


def _write(direction, session):
    """Writes the checkpoint of one direction, and returns the arrays for the archive."""
    from tensorflow.contrib.cudnn_rnn import CudnnLSTM

    random = random_state("cudnn_layers_" + direction)
    with tf.Graph().as_default():
        layer = CudnnLSTM(LAYERS, UNITS, direction=direction)
        layer(tf.zeros([TIME, BATCH, INPUT]))
        names = [spec.name for spec in layer.saveable.specs]
        shapes = layer.canonical_weight_shapes + layer.canonical_bias_shapes
    size = sum(int(np.prod(shape)) for shape in shapes)
    params = tf.constant(0.5 * random.randn(size), tf.float32)
    parts = tf.split(params, [int(np.prod(shape)) for shape in shapes])
    arrays = [tf.reshape(part, shape) for part, shape in zip(parts, shapes)]
    count = len(layer.canonical_weight_shapes)
    kernels, biases = layer.saveable.format_converter._cu_canonical_to_tf_canonical(arrays[:count], arrays[count:])
    canonical = dict(zip(names, kernels + biases))
    states = [tf.constant(random.randn(LAYERS * layer.num_dirs, BATCH, UNITS), tf.float32) for _ in "hc"]
    inputs = tf.constant(random.randn(TIME, BATCH, INPUT), tf.float32)
    results = {"inputs": inputs, "initial_h": states[0], "initial_c": states[1]}
    outputs, h, c = _run(direction, canonical, inputs, *states)
    loss = sum(tf.reduce_sum(tensor * tf.sin(tensor)) for tensor in (outputs, h, c))
    gradient = tf.gradients(loss, params)[0]
    results.update(outputs=outputs, h=h, c=c, gradient=gradient, initial=_initial_weights(shapes, count))
    arrays = session.run({"cudnn_lstm/opaque_kernel": params, **canonical})
    results = session.run(results)
    variables = {name: tf.Variable(array, name=name) for name, array in arrays.items()}
    session.run(tf.global_variables_initializer())
    target = path("tensorflow_1_15", f"cudnn_layers_{direction}.ckpt")
    tf.train.Saver(variables).save(session, target, write_meta_graph=False, write_state=False)
    return results


def _run(direction, canonical, inputs, h, c):
    """Returns (outputs, h, c) of CudnnCompatibleLSTMCells whose variables are these tensors."""
    from tensorflow.contrib.cudnn_rnn import CudnnCompatibleLSTMCell
    from tensorflow.contrib.rnn import stack_bidirectional_dynamic_rnn

    def cells():
        return [CudnnCompatibleLSTMCell(UNITS) for _ in range(LAYERS)]

    options = {"time_major": True, "sequence_length": LENGTHS}
    pairs = [tf.nn.rnn_cell.LSTMStateTuple(*pair) for pair in zip(tf.unstack(c), tf.unstack(h))]
    with tf.variable_scope("cudnn_lstm", custom_getter=lambda getter, name, *args, **more: canonical[name]):
        if direction == "unidirectional":
            stack = tf.nn.rnn_cell.MultiRNNCell(cells())
            outputs, finals = tf.nn.dynamic_rnn(stack, inputs, initial_state=tuple(pairs), **options)
        else:
            outputs, forward, backward = stack_bidirectional_dynamic_rnn(
                cells(), cells(), inputs, pairs[0::2], pairs[1::2], **options
            )
            finals = [pair for layer in zip(forward, backward) for pair in layer]
    return outputs, tf.stack([pair.h for pair in finals]), tf.stack([pair.c for pair in finals])


def _initial_weights(shapes, count):
    """Returns the default initial value of the variable with seed 3, as CudnnLSTM.build makes it."""
    kernel_initializer = tf.glorot_uniform_initializer(seed=3)
    arrays = [kernel_initializer(shape, dtype=tf.float32) for shape in shapes[:count]]
    return tf.concat([tf.reshape(array, [-1]) for array in arrays + [tf.zeros(shape) for shape in shapes[count:]]], 0)
