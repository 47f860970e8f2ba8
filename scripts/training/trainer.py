"""Training a network on examples: Adam, and checkpoints to go on from, which never contain NaN."""

import functools
import os
import time

import numpy as np

from shared import file_errors
from stacked_lstm import make_callable
from stacked_lstm.compat import tf
from training import optimizer, summaries
from training.run_files import checkpoints

CHECKPOINTS_KEPT = 3
SAVE_SECONDS = 10  # Between checkpoints within an epoch; there is also one at the end of each epoch.
SUMMARY_STEPS = 50  # Between the batch losses that TensorBoard gets.
EVALUATION_BATCH = 500


class Trainer:
    """A network, its copies, its optimizer, and their checkpoints in a directory.

    It goes on from the last checkpoint there, or else from the newest intact one, or saves a first one, so that there
    is always one to return to. No other training may run in the directory.

    Attributes:
      step: int, batches trained on so far.
      steps_per_epoch: int.
      last_checkpoint: path.
      note: a line that says why it goes on from another checkpoint than the last one; None if it does not.
    """

    def __init__(self, copies, learning_rate, train_dir, kept=CHECKPOINTS_KEPT, weight_decay=0.0):
        """Adds the optimizer to the default graph and opens a session.

        Args:
          copies: `replicas.Replicas`, the network and its examples.
          learning_rate: Adam's.
          train_dir: an existing directory, for checkpoints and TensorBoard's events.
          kept: number of checkpoints to keep besides the best one.
          weight_decay: after each step, every matrix loses this share of itself, times the learning rate.

        Raises:
          ValueError: the directory has checkpoints, and none is intact.
          OSError: a file cannot be written.
        """
        self._copies, self._pipeline, self._network = copies, copies.pipeline, copies.networks[0]
        self._train_dir, self._kept = train_dir, kept
        self.steps_per_epoch = self._pipeline.steps_per_epoch
        self._global_step = tf.train.get_or_create_global_step()
        self._train_op = self._minimize(learning_rate, weight_decay)
        floats = [v for v in tf.global_variables() if v.dtype.is_floating]
        self._finite = {}
        for variable in floats:
            with tf.colocate_with(variable):  # A parameter server then sends one bit, not the variable.
                self._finite[variable.op.name] = tf.reduce_all(tf.is_finite(variable))
        self._saver = tf.train.Saver(max_to_keep=None)
        checkpoints.remove_leftovers(train_dir)
        self._start()
        self._events = summaries.EventFile(train_dir, tf.get_default_graph())
        self._events.start_after(self.step)
        if self.last_checkpoint is None:
            self.save()
        else:
            checkpoints.keep_newest(train_dir, kept, self.step)

    def _minimize(self, learning_rate, weight_decay):
        """Adds a training step to the graph; returns it."""
        return self._copies.minimize(optimizer.Adam(learning_rate, weight_decay))

    def _start(self):
        """Opens the session; the variables have the values of the newest intact checkpoint, or else new ones."""
        self._session = tf.Session(config=self._session_config())
        self._session.run(tf.global_variables_initializer())
        self.last_checkpoint, self.note = checkpoints.restore_newest(self._saver, self._session, self._train_dir)
        self.step = int(self._session.run(self._global_step))
        fetches, feed = [self._copies.loss, self._train_op], self._copies.feed
        self._train_step = functools.partial(make_callable(self._session, fetches, list(feed)), *feed.values())

    def _session_config(self):
        return self._copies.config

    def train_epoch(self, on_batch):
        """Trains to the end of the epoch.

        Args:
          on_batch: called after every batch with its loss.

        Returns:
          The epoch's seconds. If the run went on in the middle of the epoch, the time of the earlier batches is not
          known; it is estimated from that of the others.

        Raises:
          FloatingPointError: a loss or a variable is not finite; no checkpoint has such a variable.
        """
        missing = self.steps_per_epoch - self.step % self.steps_per_epoch
        begin = saved = time.monotonic()
        for _ in range(missing):
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
            on_batch(self._train())
        return (time.monotonic() - begin) * self.steps_per_epoch / missing

    def _train(self):
        number = self.step
        self._pipeline.go_to(self._session.run, number)
        loss, _ = self._train_step()
        self.step += 1
        self._check_loss(loss, number)
        return float(loss)

    def _check_loss(self, loss, number):
        """Stops if a loss is not finite. Otherwise TensorBoard gets some losses. `number` is that of the batch."""
        if not np.isfinite(loss):
            arrays = sorted(self._pipeline.arrays(number).items())
            bad = [name for name, array in arrays if not np.all(np.isfinite(array))]
            why = "".join(f", the batch's {name} hold NaN or Inf" for name in bad)
            self._stop(f"the loss is {loss}" + (why or " (a smaller --learning_rate may help)"))
        if self.step % SUMMARY_STEPS == 0:
            self.summarize({"batch_loss": loss})

    def evaluate(self, examples):
        """Returns the mean loss and the mean score over `examples`.

        Raises:
          FloatingPointError: the loss is not finite.
        """
        vectors = evaluate(self._session, self._network, examples, ["losses", "scores"])
        loss, score = (np.mean(vector, dtype=np.float64) for vector in vectors)
        if not np.isfinite(loss):
            self._stop(f"the mean loss of an evaluation is {loss}")
        return float(loss), float(score)

    def save(self):
        """Writes a checkpoint to go on from; TensorBoard has all events up to it then.

        The checkpoint is on the disk before the file `checkpoint` names it and before older ones are removed.

        Raises:
          FloatingPointError: a variable is not finite; nothing is written.
          OSError: a file cannot be written.
        """
        self._check_finite()
        self._events.flush()
        path = os.path.join(self._train_dir, checkpoints.LAST)
        with file_errors.named("--train_dir", f"{path}-{self.step}", "write"):
            self.last_checkpoint = self._saver.save(self._session, path, self.step, write_state=False)
            checkpoints.flush(self.last_checkpoint)
            checkpoints.write_state(self.last_checkpoint)
        checkpoints.keep_newest(self._train_dir, self._kept, self.step)

    def save_best(self):
        """Writes a checkpoint as the best one, next to the best one so far. Raises as `save`."""
        self._check_finite()
        path = os.path.join(self._train_dir, checkpoints.BEST % self.step)
        with file_errors.named("--train_dir", path, "write"):
            checkpoints.flush(self._saver.save(self._session, path, write_state=False))

    def keep_best(self, step):
        """Deletes the best checkpoints of other steps than `step`."""
        checkpoints.keep_best(self._train_dir, step)

    def _check_finite(self):
        bad = [name for name, finite in self._session.run(self._finite).items() if not finite]
        if bad:
            self._stop(f"the loss is finite, but not {', '.join(bad)}")

    def predict(self, task, checkpoint):
        """Returns the predictions of a checkpoint for the test examples of a task.

        The weights stay in the session, so training ends with this.
        """
        checkpoints.restore(self._saver, self._session, checkpoint)
        (predictions,) = evaluate(self._session, self._network, task.test, ["predictions"])
        return predictions

    def summarize(self, scalars):
        """Gives name -> number to TensorBoard."""
        self._events.add(summaries.scalars(scalars), self.step)

    def show(self, pictures):
        """Gives name -> path of a PNG file to TensorBoard."""
        self._events.add(summaries.images(pictures), self.step)

    def close(self):
        self._session.close()
        self._events.close()

    def _stop(self, why):
        epoch = -(-self.step // self.steps_per_epoch)
        raise FloatingPointError(
            f"training stopped in epoch {epoch}, after step {self.step}: {why}; the last good checkpoint is "
            f"{self.last_checkpoint}"
        )


def _feed_dict(network, arrays):
    return {network.feeds[name]: array for name, array in arrays.items()}


def evaluate(session, network, examples, fields):
    """Returns the network's `fields` for all of `examples`, in their order: a list of arrays [N, ...]."""
    order, parts = [], []
    for rows in examples.batches(EVALUATION_BATCH) or [np.arange(0)]:
        order.append(rows)
        parts.append(
            session.run([getattr(network, field) for field in fields], _feed_dict(network, examples.feed(rows)))
        )
    places = np.argsort(np.concatenate(order))
    return [np.concatenate(arrays)[places] for arrays in zip(*parts)]
