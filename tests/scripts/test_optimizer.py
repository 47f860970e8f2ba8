"""scripts/training/optimizer.py: the mean of the sparse gradients of several workers."""

import numpy as np

from stacked_lstm.compat import tf
from training import optimizer

WORDS = [[3, 1, 3], [1, 3, 0]]  # Of two workers.


def gradients(adam, embedding, words):
    """What `adam` sends as the gradient of the sum of 2 e over the vectors e of words."""
    loss = 2 * tf.reduce_sum(tf.nn.embedding_lookup(embedding, words))
    ((gradient, variable),) = adam.compute_gradients(loss, [embedding])
    assert variable is embedding and isinstance(gradient, tf.IndexedSlices)
    return gradient


def test_the_mean_over_synchronous_workers(session):
    """TensorFlow's accumulator would divide row 1 by 2, row 0 by 1; the mean over two workers divides both by 2."""
    embedding = tf.get_variable("embedding", [5, 2], initializer=tf.zeros_initializer())
    adams = [optimizer.SynchronousAdam(0.1, 0.0, index, 2) for index in range(2)]
    accumulator = tf.SparseConditionalAccumulator(tf.float32)
    send = [
        accumulator.apply_indexed_slices_grad(gradients(adam, embedding, words))
        for adam, words in zip(adams, WORDS)
    ]  # fmt: skip
    step = adams[0].apply_gradients([(accumulator.take_indexed_slices_grad(2), embedding)])
    session.run(tf.global_variables_initializer())
    session.run(send)
    session.run(step)
    expected = np.zeros([5, 2])
    for words in WORDS:
        np.add.at(expected, words, 2 / 2)
    # Adam's first moment is a tenth of the gradient after one step.
    moment = session.run(adams[0].get_slot(embedding, "m"))
    np.testing.assert_allclose(moment, expected / 10, rtol=1e-6)
