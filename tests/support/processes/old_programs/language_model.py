"""Trains a language model with projections, clips, peepholes and residual connections, as ELMo's program does."""

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import rnn, rnn_cell

vocabulary, width, projection, unroll, batch = 20, 12, 6, 8, 3
tokens = np.random.RandomState(0).randint(vocabulary, size=[batch, unroll + 1])

token_ids = tf.placeholder(tf.int32, [batch, unroll])
next_ids = tf.placeholder(tf.int32, [batch, unroll])
with tf.variable_scope("lm"):
    embedding = tf.get_variable("embedding", [vocabulary, projection])
    inputs = tf.unstack(tf.nn.embedding_lookup(embedding, token_ids), axis=1)
    cells = []
    for layer in range(2):
        cell = rnn_cell.LSTMCell(width, num_proj=projection, cell_clip=3.0, proj_clip=3.0, use_peepholes=layer == 1)
        if layer > 0:
            cell = rnn_cell.ResidualWrapper(cell)
        cells.append(rnn_cell.DropoutWrapper(cell, input_keep_prob=1.0))
    cell = rnn_cell.MultiRNNCell(cells)
    init_state = cell.zero_state(batch, tf.float32)
    outputs, final_state = rnn.static_rnn(cell, inputs, initial_state=init_state, scope="RNN_0")
    flat = tf.reshape(tf.stack(outputs, axis=1), [-1, projection])
    softmax_weights = tf.get_variable("W", [vocabulary, projection])
    logits = tf.matmul(flat, softmax_weights, transpose_b=True)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(next_ids, [-1]), logits=logits)
    loss = tf.reduce_mean(losses)
optimizer = tf.train.AdagradOptimizer(0.2, initial_accumulator_value=1.0)
grads = optimizer.compute_gradients(loss * unroll)
train_op = optimizer.apply_gradients(grads)

results = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for k, variable in enumerate(tf.trainable_variables()):
        variable.load(0.3 * np.random.RandomState(k).randn(*variable.shape.as_list()), sess)
    state = sess.run(init_state)
    for _ in range(8):
        feed = {token_ids: tokens[:, :-1], next_ids: tokens[:, 1:]}
        feed.update(zip([t for pair in init_state for t in pair], [t for pair in state for t in pair]))
        value, state, _ = sess.run([loss, final_state, train_op], feed)
        results.append(value)
