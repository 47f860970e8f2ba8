"""Functions of tf.contrib.crf and tf.contrib.layers on random data. `build` makes the tensors from these modules."""

from __future__ import annotations

import numpy as np
import tensorflow.compat.v1 as tf

from golden.files import random_state

BATCH, TIME, WIDTH, TAGS = 4, 5, 6, 3
LENGTHS = [5, 2, 1, 0]


def build(crf, layers):
    """Adds all networks to the default graph.

    Args:
      crf, layers: the modules.

    Returns:
      name -> tensor. Names of variables are in the names of their gradients.
    """
    tf.set_random_seed(7)
    random = random_state("tagging")

    def constant(*shape):
        return tf.constant(random.standard_normal(shape).astype(np.float32))

    def initializer(*shape):
        return tf.constant_initializer(random.standard_normal(shape).astype(np.float32))

    x, tensors = constant(BATCH, TIME, WIDTH), {}
    tags = tf.constant(random.randint(TAGS, size=[BATCH, TIME]).astype(np.int32))
    options = {
        "defaults": {"biases_initializer": initializer(TAGS)},
        "plain": {"activation_fn": None, "scope": "output", "weights_regularizer": tf.nn.l2_loss},
        "no_biases": {"activation_fn": tf.nn.tanh, "biases_initializer": None},
        "normalized": {"normalizer_fn": lambda y, scale: scale * y / tf.norm(y), "normalizer_params": {"scale": 2.0}},
    }
    for name, values in options.items():
        y = layers.fully_connected(x, TAGS, weights_initializer=initializer(WIDTH, TAGS), **values)
        tensors[f"layers/{name}"] = y
    potentials = layers.fully_connected(
        tf.reshape(x, [-1, WIDTH]), TAGS, None, weights_initializer=initializer(WIDTH, TAGS)
    )
    potentials = tf.reshape(potentials, [BATCH, TIME, TAGS])
    transitions = tf.get_variable("transitions", [TAGS, TAGS], initializer=initializer(TAGS, TAGS))
    for name, steps in (("sequences", TIME), ("single", 1)):
        lengths = tf.constant(np.minimum(LENGTHS, steps).astype(np.int32))
        with tf.variable_scope(tf.get_variable_scope(), reuse=True):  # The variable that the function makes.
            likelihood, _ = crf.crf_log_likelihood(potentials[:, :steps], tags[:, :steps], lengths)
        tensors[f"crf/{name}/likelihood"] = likelihood
        tensors[f"crf/{name}/tags"], tensors[f"crf/{name}/score"] = crf.crf_decode(
            potentials[:, :steps], transitions, lengths
        )
    floats = [tensor for tensor in tensors.values() if tensor.dtype == tf.float32]
    loss = tf.add_n([tf.reduce_sum(tf.sin(tensor)) for tensor in floats] + tf.losses.get_regularization_losses())
    for variable in tf.trainable_variables():
        tensors[f"gradient/{variable.op.name}"] = tf.gradients(loss, variable)[0]
    tensors["gradient/x"] = tf.gradients(loss, x)[0]
    tensors["layers/linear"] = layers.linear(x, TAGS, weights_initializer=initializer(WIDTH, TAGS), scope="linear")
    for uniform in (True, False):
        for k, shape in enumerate(([4, 5], [7], [2, 3, 4, 5])):
            tensors[f"xavier/{uniform}/{k}"] = layers.xavier_initializer(uniform, seed=k)(shape)
            for mode in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
                initialize = layers.variance_scaling_initializer(1.5, mode, uniform, seed=k)
                tensors[f"scaling/{mode}/{uniform}/{k}"] = initialize(shape)
    return tensors
