"""A language model over words, as people wrote it in 2017 after the tutorial on the Penn Treebank.

It learns to predict the next word of this repository's LICENSE. The state at the end of a batch is fed back as the
start of the next one. Training and evaluation are two models that share their variables. The module of cells is an
argument, so the same program runs with TensorFlow's own cells and with the package's:

    run(tf.nn.rnn_cell, tf.nn.dynamic_rnn, steps=50, save_to="model.ckpt")                 # TensorFlow 1.15
    run(rnn_cell, rnn_cell.dynamic_rnn, steps=10, restore_from="model.ckpt")               # stacked_lstm's rnn_cell

Every random op has a seed, and the loop draws its masks in order, so two runs have the same losses.
"""

import collections
import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = os.path.join(HERE, "..", "..", "..", "LICENSE")


class TrainConfig:
    init_scale = 0.25
    learning_rate = 0.03
    lr_decay = 0.8
    max_epoch = 3  # Epochs at the full learning rate.
    max_grad_norm = 3.0
    keep_prob = 0.8
    num_layers = 2
    hidden_size = 20
    vocab_size = 150
    batch_size = 10
    num_steps = 12


class EvalConfig(TrainConfig):
    batch_size = 1
    num_steps = 40


def read_words(vocab_size):
    """Returns the text as a list of word numbers. All rare words have the number 0, <unk>."""
    with open(TEXT) as text:
        words = re.findall("[a-z]+", text.read().lower())
    by_count = sorted(collections.Counter(words).items(), key=lambda item: (-item[1], item[0]))
    word_to_id = {word: k + 1 for k, (word, _) in enumerate(by_count[: vocab_size - 1])}
    return [word_to_id.get(word, 0) for word in words]


def producer(raw_data, batch_size, num_steps):
    """Yields (inputs, targets), [batch_size, num_steps] each. A row continues the same row of the previous batch."""
    batch_len = len(raw_data) // batch_size
    data = np.reshape(raw_data[: batch_size * batch_len], [batch_size, batch_len])
    for i in range((batch_len - 1) // num_steps):
        part = slice(i * num_steps, (i + 1) * num_steps)
        yield data[:, part], data[:, 1:][:, part]


class LanguageModel:
    """The model for training or for evaluation; it makes its variables in the current variable scope."""

    def __init__(self, is_training, config, rnn_cell, dynamic_rnn):
        self.config = config
        self.input_data = tf.placeholder(tf.int32, [config.batch_size, config.num_steps])
        self.targets = tf.placeholder(tf.int32, [config.batch_size, config.num_steps])
        size, vocab_size = config.hidden_size, config.vocab_size

        def uniform(seed):
            return tf.random_uniform_initializer(-config.init_scale, config.init_scale, seed=seed)

        def lstm_cell(layer):
            cell = rnn_cell.LSTMCell(size, initializer=uniform(10 + layer), state_is_tuple=True)
            if is_training:
                cell = rnn_cell.DropoutWrapper(cell, output_keep_prob=config.keep_prob, seed=20 + layer)
            return cell

        embedding = tf.get_variable("embedding", [vocab_size, size], initializer=uniform(1))
        inputs = tf.nn.embedding_lookup(embedding, self.input_data)
        if is_training:
            inputs = tf.nn.dropout(inputs, config.keep_prob, seed=2)
        cell = rnn_cell.MultiRNNCell([lstm_cell(k) for k in range(config.num_layers)], state_is_tuple=True)
        self.initial_state = cell.zero_state(config.batch_size, tf.float32)
        steps = {"parallel_iterations": 1} if is_training else {}  # Masks are drawn in order.
        outputs, self.final_state = dynamic_rnn(cell, inputs, initial_state=self.initial_state, scope="RNN", **steps)

        softmax_w = tf.get_variable("softmax_w", [size, vocab_size], initializer=uniform(3))
        softmax_b = tf.get_variable("softmax_b", [vocab_size], initializer=tf.zeros_initializer())
        logits = tf.matmul(tf.reshape(outputs, [-1, size]), softmax_w) + softmax_b
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(self.targets, [-1]), logits=logits)
        self.cost = tf.reduce_sum(losses) / config.batch_size
        self.train_op = self._train_op() if is_training else tf.no_op()

    def _train_op(self):
        self.global_step = tf.train.get_or_create_global_step()
        self.lr = tf.get_variable("learning_rate", [], initializer=tf.zeros_initializer(), trainable=False)
        self.new_lr = tf.placeholder(tf.float32, [])
        self.lr_update = tf.assign(self.lr, self.new_lr)
        variables = tf.trainable_variables()
        gradients, self.global_norm = tf.clip_by_global_norm(
            tf.gradients(self.cost, variables), self.config.max_grad_norm
        )
        optimizer = tf.train.AdamOptimizer(self.lr)
        return optimizer.apply_gradients(zip(gradients, variables), global_step=self.global_step)


def run_epoch(session, model, words, limit=None):
    """Runs the model over the text from its beginning, at most `limit` batches; returns the costs per word."""
    costs = []
    state = session.run(model.initial_state)
    for x, y in producer(words, model.config.batch_size, model.config.num_steps):
        if len(costs) == limit:
            break
        feed_dict = {model.input_data: x, model.targets: y}
        for i, (c, h) in enumerate(model.initial_state):
            feed_dict[c] = state[i].c
            feed_dict[h] = state[i].h
        cost, state, _ = session.run([model.cost, model.final_state, model.train_op], feed_dict)
        costs.append(cost / model.config.num_steps)
    return costs


def train(session, model, words, steps):
    """Trains for a number of batches, over as many epochs as they take; returns their costs per word."""
    config, costs = model.config, []
    epoch_size = len(list(producer(words, config.batch_size, config.num_steps)))
    while len(costs) < steps:
        epoch = session.run(model.global_step) // epoch_size
        decay = config.lr_decay ** max(epoch + 1 - config.max_epoch, 0)
        session.run(model.lr_update, {model.new_lr: config.learning_rate * decay})
        costs += run_epoch(session, model, words, steps - len(costs))
    return costs


def run(rnn_cell, dynamic_rnn, steps, restore_from=None, save_to=None):
    """Runs the program: evaluates, trains, evaluates.

    Args:
      rnn_cell: a module of cells.
      dynamic_rnn: the function that runs the cells over time.
      steps: the number of batches to train.
      restore_from: path of a checkpoint to start from; None for new variables.
      save_to: path of a checkpoint to write at the end; None for none.

    Returns:
      Dictionary of float arrays. "before", "training" and "after" are the costs per word of each batch of the first
      evaluation, the training and the second evaluation; "perplexity before" and "perplexity after" are numbers.
    """
    words = read_words(TrainConfig.vocab_size)
    with tf.Graph().as_default():
        tf.set_random_seed(1)
        with tf.variable_scope("model"):
            model = LanguageModel(True, TrainConfig(), rnn_cell, dynamic_rnn)
        with tf.variable_scope("model", reuse=True):
            evaluation = LanguageModel(False, EvalConfig(), rnn_cell, dynamic_rnn)
        saver = tf.train.Saver()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            if restore_from:
                saver.restore(session, restore_from)
            costs = {
                "before": run_epoch(session, evaluation, words),
                "training": train(session, model, words, steps),
                "after": run_epoch(session, evaluation, words),
            }
            if save_to:
                saver.save(session, save_to, write_meta_graph=False, write_state=False)
    costs.update({f"perplexity {name}": np.exp(np.mean(costs[name])) for name in ("before", "after")})
    return {name: np.array(values, np.float64) for name, values in costs.items()}


if __name__ == "__main__":
    for name, costs in run(tf.nn.rnn_cell, tf.nn.dynamic_rnn, steps=100).items():
        print(name, costs)
