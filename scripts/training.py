"""Batches of examples, and training on them: Adam, and checkpoints to go on from, which never hold NaN."""

import os
import time

import numpy as np

from stacked_lstm.compat import tf

CHECKPOINTS_KEPT = 3
SAVE_SECONDS = 10  # Between checkpoints within an epoch; there is one at the end of each, too.
SUMMARY_STEPS = 50  # Between the batch losses that TensorBoard gets.
EVALUATION_BATCH = 500


class Examples(object):
    """Arrays by name, whose first axes are the examples.

    A task whose batches need more than their rows, such as padding, overrides `feed` and `batches`.
    """

    def __init__(self, **arrays):
        self._arrays = arrays

    def __len__(self):
        return len(next(iter(self._arrays.values())))

    def first(self, count):
        """The first `count` examples; all if that is None. Raises ValueError if there are fewer."""
        if count is None:
            return self
        if count > len(self):
            raise ValueError("--train_examples: expected at most the %d there are, got %d" % (len(self), count))
        return type(self)(**{name: array[:count] for name, array in self._arrays.items()})

    def feed(self, rows):
        """name -> array of the examples with the numbers `rows`, an int array."""
        return {name: array[rows] for name, array in self._arrays.items()}

    def batches(self, batch_size, random=None):
        """ceil(N / batch_size) int arrays that together hold every example's number once.

        Args:
          random: `np.random.RandomState` that the order is drawn from; None for the order of the arrays.
        """
        rows = np.arange(len(self)) if random is None else random.permutation(len(self))
        return [rows[k : k + batch_size] for k in range(0, len(rows), batch_size)]


def epoch_batches(examples, batch_size, seed, epoch):
    """The batches of an epoch, counted from 0. They depend on the arguments only: a resumed run has the same."""
    return examples.batches(batch_size, np.random.RandomState([seed, epoch]))


class Trainer(object):
    """A network, its optimizer, and their checkpoints in a directory.

    It goes on from the last checkpoint there, or saves a first one, so that there always is one to return to.

    Attributes:
      step: int, batches trained on so far.
      steps_per_epoch: int.
      last_checkpoint: path.
    """

    def __init__(self, network, examples, batch_size, learning_rate, seed, train_dir):
        """Adds the optimizer to the default graph and opens a session.

        Args:
          network: `networks.Network`.
          examples: `Examples` to train on, `batch_size` at a time, in an order drawn from `seed` (0 to 2**32 - 1).
          learning_rate: Adam's.
          train_dir: an existing directory, for checkpoints and TensorBoard's events.

        Raises:
          ValueError: the directory's last checkpoint is damaged.
        """
        self._network, self._examples, self._batch_size, self._seed = network, examples, batch_size, seed
        self.steps_per_epoch = -(-len(examples) // batch_size)
        self._loss = tf.reduce_mean(network.losses)
        global_step = tf.train.get_or_create_global_step()
        self._train_op = tf.train.AdamOptimizer(learning_rate).minimize(self._loss, global_step)
        floats = [v for v in tf.global_variables() if v.dtype.is_floating]
        self._finite = {v.op.name: tf.reduce_all(tf.is_finite(v)) for v in floats}
        self._saver = tf.train.Saver(max_to_keep=CHECKPOINTS_KEPT)
        self._path = os.path.join(train_dir, "model.ckpt")
        self._session = tf.Session()
        self._session.run(tf.global_variables_initializer())
        self._writer = tf.summary.FileWriter(train_dir, tf.get_default_graph())
        self.step = 0
        if not self._restore(tf.train.get_checkpoint_state(train_dir), global_step):
            self.save()
        # Makes TensorBoard drop what a run that was killed wrote after its last checkpoint.
        self._writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), self.step)

    def _restore(self, state, global_step):
        """Goes back to the last checkpoint of a `CheckpointState`; returns whether there is one."""
        if state is None:
            return False
        self.last_checkpoint = state.model_checkpoint_path
        self._saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        try:
            self._saver.restore(self._session, self.last_checkpoint)
        except (ValueError, tf.errors.OpError) as error:
            message = "--train_dir: expected a whole checkpoint at %s, got %s"
            raise ValueError(message % (self.last_checkpoint, type(error).__name__)) from error
        self.step = int(self._session.run(global_step))
        return True

    def train_epoch(self, on_batch):
        """Trains to the end of the epoch; returns its seconds.

        Of the batches before a checkpoint that the run went on from, the time is not known: it is counted as that of
        the others, in proportion.

        Args:
          on_batch: called after every batch with its loss.

        Raises:
          FloatingPointError: a loss or a variable is not finite; it is in no checkpoint.
        """
        epoch, done = divmod(self.step, self.steps_per_epoch)
        batches = epoch_batches(self._examples, self._batch_size, self._seed, epoch)[done:]
        begin = saved = time.monotonic()
        for rows in batches:
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
            on_batch(self._train(self._examples.feed(rows)))
        return (time.monotonic() - begin) * self.steps_per_epoch / len(batches)

    def _train(self, arrays):
        loss, _ = self._session.run([self._loss, self._train_op], self._feed_dict(arrays))
        self.step += 1
        if not np.isfinite(loss):
            bad = [name for name, array in sorted(arrays.items()) if not np.all(np.isfinite(array))]
            self._stop("the loss is %s%s" % (loss, "".join(", the batch's %s hold NaN or Inf" % name for name in bad)))
        if self.step % SUMMARY_STEPS == 0:
            self.summarize({"batch_loss": loss})
        return float(loss)

    def evaluate(self, examples):
        """Returns the means (loss, score) over `examples`.

        Raises:
          FloatingPointError: the loss is not finite.
        """
        totals = np.zeros([2])
        for rows in examples.batches(EVALUATION_BATCH):
            feed_dict = self._feed_dict(examples.feed(rows))
            vectors = self._session.run([self._network.losses, self._network.scores], feed_dict)
            totals += np.sum(vectors, axis=1, dtype=np.float64)
        loss, score = totals / len(examples)
        if not np.isfinite(loss):
            self._stop("the mean loss of an evaluation is %s" % loss)
        return float(loss), float(score)

    def save(self):
        """Writes a checkpoint.

        Raises:
          FloatingPointError: a variable is not finite; nothing is written.
        """
        bad = [name for name, finite in self._session.run(self._finite).items() if not finite]
        if bad:
            self._stop("the loss is finite, but not %s" % ", ".join(bad))
        self.last_checkpoint = self._saver.save(self._session, self._path, self.step)

    def summarize(self, scalars):
        """Gives name -> number to TensorBoard."""
        values = [tf.Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._writer.add_summary(tf.Summary(value=values), self.step)

    def close(self):
        self._writer.close()
        self._session.close()

    def _feed_dict(self, arrays):
        return {self._network.feeds[name]: array for name, array in arrays.items()}

    def _stop(self, why):
        epoch = -(-self.step // self.steps_per_epoch)
        message = "training stopped in epoch %d, after step %d: %s; the last good checkpoint is %s"
        raise FloatingPointError(message % (epoch, self.step, why, self.last_checkpoint))
