"""Training a network on examples: Adam, and checkpoints to go on from, which never contain NaN."""

import glob
import os
import time

import numpy as np

from stacked_lstm.commands import command
from stacked_lstm.compat import tf
from tasks.examples import epoch_batches
from training import summaries

CHECKPOINTS_KEPT = 3
BEST = "best.ckpt-%d"  # The best checkpoint, with its step; the history decides which one it is.
SAVE_SECONDS = 10  # Between checkpoints within an epoch; there is also one at the end of each epoch.
SUMMARY_STEPS = 50  # Between the batch losses that TensorBoard gets.
EVALUATION_BATCH = 500


class Trainer:
    """A network, its optimizer, and their checkpoints in a directory.

    It goes on from the last checkpoint there, or saves a first one, so that there is always one to return to.

    Attributes:
      step: int, batches trained on so far.
      steps_per_epoch: int.
      last_checkpoint: path.
    """

    def __init__(self, network, examples, batch_size, learning_rate, seed, train_dir):
        """Adds the optimizer to the default graph and opens a session.

        Args:
          network: `networks.Network`.
          examples: `tasks.examples.Examples` to train on, `batch_size` at a time.
          batch_size: number of examples in a step.
          learning_rate: Adam's.
          seed: decides the order of the examples; 0 to 2**32 - 1.
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
        self._saver = tf.train.Saver(max_to_keep=CHECKPOINTS_KEPT, save_relative_paths=True)
        self._train_dir = train_dir
        self._session = tf.Session()
        self._session.run(tf.global_variables_initializer())
        self._writer = tf.summary.FileWriter(train_dir, tf.get_default_graph())
        self.step = 0
        if not self._restore(tf.train.get_checkpoint_state(train_dir), global_step):
            self.save()
        # TensorBoard then drops what a killed run wrote after its last checkpoint.
        self._writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), self.step)

    def _restore(self, state, global_step):
        """Restores the last checkpoint of a `CheckpointState`; returns whether there is one."""
        if state is None:
            return False
        self.last_checkpoint = state.model_checkpoint_path
        self._saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        restore(self._saver, self._session, self.last_checkpoint)
        self.step = int(self._session.run(global_step))
        return True

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
        loss, _ = self._session.run([self._loss, self._train_op], _feed_dict(self._network, arrays))
        self.step += 1
        if not np.isfinite(loss):
            bad = [name for name, array in sorted(arrays.items()) if not np.all(np.isfinite(array))]
            why = "".join(f", the batch's {name} hold NaN or Inf" for name in bad)
            self._stop(f"the loss is {loss}" + (why or " (a smaller --learning_rate may help)"))
        if self.step % SUMMARY_STEPS == 0:
            self.summarize({"batch_loss": loss})
        return float(loss)

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
        """Writes a checkpoint to go on from.

        Raises:
          FloatingPointError: a variable is not finite; nothing is written.
        """
        self._check_finite()
        self.last_checkpoint = self._saver.save(self._session, os.path.join(self._train_dir, "model.ckpt"), self.step)

    def save_best(self):
        """Writes a checkpoint as the best one, next to the best one so far. Raises as `save`."""
        self._check_finite()
        self._saver.save(self._session, os.path.join(self._train_dir, BEST % self.step), write_state=False)

    def keep_best(self, step):
        """Deletes the best checkpoints of other steps than `step`."""
        for path in glob.glob(os.path.join(glob.escape(self._train_dir), BEST.replace("%d", "*.index"))):
            if path != os.path.join(self._train_dir, BEST % step) + ".index":
                tf.train.remove_checkpoint(path[: -len(".index")])

    def _check_finite(self):
        bad = [name for name, finite in self._session.run(self._finite).items() if not finite]
        if bad:
            self._stop(f"the loss is finite, but not {', '.join(bad)}")

    def predict(self, examples, checkpoint):
        """Returns the predictions of a checkpoint. Its weights stay in the session, so training ends with this."""
        restore(self._saver, self._session, checkpoint)
        (predictions,) = evaluate(self._session, self._network, examples, ["predictions"])
        return predictions

    def summarize(self, scalars):
        """Gives name -> number to TensorBoard."""
        self._writer.add_summary(summaries.scalars(scalars), self.step)

    def show(self, pictures):
        """Gives name -> path of a PNG file to TensorBoard."""
        self._writer.add_summary(summaries.images(pictures), self.step)

    def close(self):
        self._writer.close()
        self._session.close()

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


def restore(saver, session, path):
    """Restores a checkpoint.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of another network.
    """
    try:
        saver.restore(session, path)
    except (ValueError, tf.errors.OpError) as error:
        reason = command.reason_of(error)
        raise ValueError(f"{path}: expected a whole checkpoint of this network ({reason})") from error
