"""Tags words with a bidirectional LSTM and a CRF, as programs for named entities do."""

import numpy as np
import tensorflow as tf

words, tags, hidden = 30, 4, 8
rng = np.random.RandomState(0)
word_ids_data = rng.randint(words, size=[6, 7])
labels_data = word_ids_data % tags
lengths_data = np.array([7, 3, 5, 1, 7, 6])

word_ids = tf.placeholder(tf.int32, [None, None], name="word_ids")
lengths = tf.placeholder(tf.int32, [None], name="lengths")
labels = tf.placeholder(tf.int32, [None, None], name="labels")
dropout = tf.placeholder_with_default(1.0, [], name="dropout")

with tf.variable_scope("words"):
    embeddings = tf.get_variable("_word_embeddings", [words, 10])
    x = tf.nn.dropout(tf.nn.embedding_lookup(embeddings, word_ids), dropout)
with tf.variable_scope("bi-lstm"):
    cell_fw = tf.contrib.rnn.LSTMCell(hidden)
    cell_bw = tf.contrib.rnn.LSTMCell(hidden)
    (output_fw, output_bw), _ = tf.nn.bidirectional_dynamic_rnn(
        cell_fw, cell_bw, x, sequence_length=lengths, dtype=tf.float32
    )
    output = tf.concat([output_fw, output_bw], axis=-1)
with tf.variable_scope("proj"):
    W = tf.get_variable("W", dtype=tf.float32, shape=[2 * hidden, tags])
    b = tf.get_variable("b", shape=[tags], dtype=tf.float32, initializer=tf.zeros_initializer())
    steps = tf.shape(output)[1]
    logits = tf.reshape(tf.matmul(tf.reshape(output, [-1, 2 * hidden]), W) + b, [-1, steps, tags])
log_likelihood, transitions = tf.contrib.crf.crf_log_likelihood(logits, labels, lengths)
loss = tf.reduce_mean(-log_likelihood)
train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss)

results = []
feed = {word_ids: word_ids_data, lengths: lengths_data, labels: labels_data}
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for k, variable in enumerate(tf.trainable_variables()):
        variable.load(0.3 * np.random.RandomState(k).randn(*variable.shape.as_list()), sess)
    for _ in range(6):
        results.append(sess.run([loss, train_op], feed)[0])
    scores, matrix = sess.run([logits, transitions], feed)
    for row, length in zip(scores, lengths_data):
        path, score = tf.contrib.crf.viterbi_decode(row[:length], matrix)
        results.append(score)
