"""`ChiefTrainer`: the training of worker 0 of a cluster, which also evaluates and writes the checkpoints."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Mapping

from shared import file_errors
from stacked_lstm.compat import tf
from training import experiment, trainer
from training.distributed.cluster import Cluster
from training.distributed.watch import Watch
from training.distributed.worker_steps import WorkerSteps
from training.run_files import checkpoints


class ChiefTrainer(trainer.Trainer):
    """A `trainer.Trainer` whose steps are those of all workers. It evaluates and writes between its own steps."""

    def __init__(
        self, cluster: Cluster, target: str, watch: Watch, settings: Mapping[str, Any], *arguments: Any
    ) -> None:
        """Joins the cluster.

        Args:
          cluster: the processes.
          target: of the server of this process.
          watch: is told of each step.
          settings: flag -> value.
          *arguments: as for `trainer.Trainer`.
        """
        self._cluster, self._target, self._watch, self._settings = cluster, target, watch, settings
        super().__init__(*arguments)
        self._epochs = self.step // self.steps_per_epoch

    def _minimize(self, learning_rate: float, weight_decay: float) -> tf.Operation:
        self._total = self._settings["epochs"] * self.steps_per_epoch
        self._steps = WorkerSteps(self._cluster, self._copies, self._total, learning_rate, weight_decay)
        return self._steps.train_op

    def _start(self) -> None:
        self.step, (self.last_checkpoint, self.note) = 0, checkpoints.restore_newest(_Reader, None, self._train_dir)
        if self.last_checkpoint:
            checkpoints.write_state(self.last_checkpoint)  # TensorFlow restores what this file names.
        saving = tf.train.CheckpointSaverHook(
            self._train_dir, trainer.SAVE_SECONDS, saver=self._saver, checkpoint_basename=checkpoints.LAST,
            listeners=[_Listener(self)])  # fmt: skip
        with file_errors.named("--train_dir", self._train_dir):
            self._steps.start(self._target, self._watch, self._saver, self._train_dir, [saving])
        self.step = self._steps.step

    @property
    def _session(self) -> Any:
        return self._steps.session

    def before_save(self) -> None:
        """Raises FloatingPointError if a variable is not finite, as `save`."""
        self._check_finite()

    def after_save(self, step: int) -> None:
        """Waits until the newest checkpoint is on the disk, and removes the oldest ones."""
        self.last_checkpoint = f"{os.path.join(self._train_dir, checkpoints.LAST)}-{step}"
        checkpoints.flush(self.last_checkpoint)
        checkpoints.write_state(self.last_checkpoint)
        checkpoints.keep_newest(self._train_dir, self._kept, step)

    def train_epoch(self, on_batch: Callable[[float], None]) -> float:
        """Trains until all workers together have made the steps of the epoch; see `trainer.Trainer`.

        The chief reports its own losses. `on_batch` is called once for each step of all workers.
        """
        self._epochs += 1
        end = min(self._total, self._epochs * self.steps_per_epoch)
        begin, first = time.monotonic(), self.step
        while self.step < end:
            before = self.step
            loss, number = self._steps.train()
            self.step = self._steps.step
            self._check_loss(loss, number)
            for _ in range(before, self.step):
                on_batch(loss)
        return (time.monotonic() - begin) * self.steps_per_epoch / max(1, self.step - first)

    def evaluate(self, examples: Any) -> tuple[float, float]:
        """Returns the mean loss and score, as `trainer.Trainer`. Asynchronous workers train on meanwhile."""
        return self._steps.on_session(lambda: super(ChiefTrainer, self).evaluate(examples))

    def save(self) -> None:
        """Writes a checkpoint, as `trainer.Trainer`."""
        self._steps.on_session(super().save)

    def save_best(self) -> None:
        """Writes a checkpoint as the best one, as `trainer.Trainer`."""
        self._steps.on_session(super().save_best)

    def predict(self, task: Any, checkpoint: str) -> Any:
        """Returns the predictions for the test examples, computed in this process: the others may still train."""
        with self._watch.paused():
            return experiment.predict(task, task.test, checkpoint, self._settings["engine"])

    def close(self) -> None:
        """Ends the training of all workers."""
        self._steps.end()
        if self._events:
            self._events.close()


class _Reader:
    @staticmethod
    def restore(session: None, path: str) -> None:
        """Reads a checkpoint, to see whether it is whole; raises ValueError if it is not."""
        try:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except (IndexError, RuntimeError) as error:  # Python's classes for some errors of TensorFlow.
            raise ValueError(str(error)) from None


class _Listener(tf.train.CheckpointSaverListener):
    def __init__(self, chief: ChiefTrainer) -> None:
        self._chief = chief

    def before_save(self, session: Any, global_step_value: int) -> None:
        self._chief.before_save()

    def after_save(self, session: Any, global_step_value: int) -> None:
        self._chief.after_save(global_step_value)
