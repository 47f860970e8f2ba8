"""Labels frames with cuDNN's LSTM, saves a checkpoint, and labels with compatible cells, as speech programs do."""

import os
import tempfile

import numpy as np
import tensorflow as tf

frames, batch, width, units, labels = 6, 3, 5, 8, 4
features = np.random.RandomState(0).randn(frames, batch, width).astype(np.float32)
classes = np.abs(features.sum(axis=2)).astype(np.int32) % labels
lengths = np.array([6, 2, 4], np.int32)


def rnn_impl_cudnn_rnn(x, seq_length):
    layer = tf.contrib.cudnn_rnn.CudnnLSTM(num_layers=1, num_units=units, direction="bidirectional", dtype=tf.float32)
    output, output_state = layer(inputs=x, sequence_lengths=seq_length)
    return output


def rnn_impl_compatible(x, seq_length):
    with tf.variable_scope("cudnn_lstm"):
        cells = [[tf.contrib.cudnn_rnn.CudnnCompatibleLSTMCell(units)] for _ in range(2)]
        output, _, _ = tf.contrib.rnn.stack_bidirectional_dynamic_rnn(
            cells[0], cells[1], x, dtype=tf.float32, sequence_length=seq_length, time_major=True
        )
    return output


def create_model(rnn_impl):
    x, seq_length = tf.placeholder(tf.float32, [None, None, width]), tf.placeholder(tf.int32, [None])
    output = rnn_impl(x, seq_length)
    weights = tf.get_variable("weights", [2 * units, labels])
    logits = tf.reshape(tf.matmul(tf.reshape(output, [-1, 2 * units]), weights), [frames, -1, labels])
    return x, seq_length, logits


results = []
checkpoint = os.path.join(tempfile.mkdtemp(), "speech.ckpt")
with tf.Graph().as_default(), tf.Session() as session:
    x, seq_length, logits = create_model(rnn_impl_cudnn_rnn)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=logits))
    train = tf.train.AdamOptimizer(0.05).minimize(loss)
    session.run(tf.global_variables_initializer())
    for k, variable in enumerate(tf.trainable_variables()):
        variable.load(0.3 * np.random.RandomState(k).randn(*variable.shape.as_list()), session)
    for _ in range(6):
        results.append(session.run([loss, train], {x: features, seq_length: lengths})[0])
    trained = session.run(logits, {x: features, seq_length: lengths})
    tf.train.Saver().save(session, checkpoint)
with tf.Graph().as_default(), tf.Session() as session:
    x, seq_length, logits = create_model(rnn_impl_compatible)
    tf.train.Saver().restore(session, checkpoint)
    restored = session.run(logits, {x: features, seq_length: lengths})
results.append(np.abs(restored - trained).max())
