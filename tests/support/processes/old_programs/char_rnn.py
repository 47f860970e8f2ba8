"""Predicts the next character, and then writes text one character at a time, as char-rnn programs do."""

import numpy as np
import tensorflow as tf
from tensorflow.contrib import legacy_seq2seq, rnn

text = "the quick brown fox jumps over the lazy dog. " * 40
chars = sorted(set(text))
data = np.array([chars.index(c) for c in text])
batch_size, seq_length, size, num_layers = 4, 10, 16, 2


class Model:
    def __init__(self, training):
        steps, batch = (seq_length, batch_size) if training else (1, 1)
        cells = []
        for _ in range(num_layers):
            cell = rnn.BasicLSTMCell(size, state_is_tuple=True)
            cells.append(rnn.DropoutWrapper(cell, output_keep_prob=1.0) if training else cell)
        self.cell = cell = rnn.MultiRNNCell(cells, state_is_tuple=True)
        self.input_data = tf.placeholder(tf.int32, [batch, steps])
        self.targets = tf.placeholder(tf.int32, [batch, steps])
        self.initial_state = cell.zero_state(batch, tf.float32)
        with tf.variable_scope("rnnlm"):
            softmax_w = tf.get_variable("softmax_w", [size, len(chars)])
            softmax_b = tf.get_variable("softmax_b", [len(chars)])
            embedding = tf.get_variable("embedding", [len(chars), size])
        inputs = tf.split(tf.nn.embedding_lookup(embedding, self.input_data), steps, 1)
        inputs = [tf.squeeze(x, [1]) for x in inputs]

        def loop(prev, _):
            prev = tf.matmul(prev, softmax_w) + softmax_b
            return tf.nn.embedding_lookup(embedding, tf.stop_gradient(tf.argmax(prev, 1)))

        outputs, last_state = legacy_seq2seq.rnn_decoder(
            inputs, self.initial_state, cell, loop_function=loop if not training else None, scope="rnnlm"
        )
        output = tf.reshape(tf.concat(outputs, 1), [-1, size])
        self.logits = tf.matmul(output, softmax_w) + softmax_b
        self.probs = tf.nn.softmax(self.logits)
        loss = legacy_seq2seq.sequence_loss_by_example(
            [self.logits], [tf.reshape(self.targets, [-1])], [tf.ones([batch * steps])]
        )
        self.cost = tf.reduce_sum(loss) / batch / steps
        self.final_state = last_state
        if training:
            tvars = tf.trainable_variables()
            grads, _ = tf.clip_by_global_norm(tf.gradients(self.cost, tvars), 5.0)
            self.train_op = tf.train.AdamOptimizer(0.01).apply_gradients(zip(grads, tvars))


with tf.variable_scope(tf.get_variable_scope()):
    model = Model(training=True)
with tf.variable_scope(tf.get_variable_scope(), reuse=True):
    sampler = Model(training=False)

results = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for k, variable in enumerate(tf.trainable_variables()):
        variable.load(0.3 * np.random.RandomState(k).randn(*variable.shape.as_list()), sess)
    state = sess.run(model.initial_state)
    for b in range(6):
        start = b * seq_length
        rows = np.array([data[r * 400 + start :][: seq_length + 1] for r in range(batch_size)])
        feed = {model.input_data: rows[:, :-1], model.targets: rows[:, 1:]}
        for i, (c, h) in enumerate(model.initial_state):
            feed[c], feed[h] = state[i].c, state[i].h
        cost, state, _ = sess.run([model.cost, model.final_state, model.train_op], feed)
        results.append(cost)
    state, char = sess.run(sampler.cell.zero_state(1, tf.float32)), chars.index("t")
    for _ in range(5):
        feed = {sampler.input_data: [[char]], sampler.initial_state: state}
        probs, state = sess.run([sampler.probs, sampler.final_state], feed)
        char = int(np.argmax(probs[0]))
        results.append(probs[0].max())
