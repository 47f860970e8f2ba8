"""Training in a cluster of processes: parameter servers hold the variables, workers compute, the first is the chief."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from typing import Any, Callable, Iterator, Mapping

from shared import environment, file_errors
from stacked_lstm.compat import tf
from tasks import TASKS
from training import checkpoints, evaluator, experiment, servers, trainer
from training.cluster import Cluster
from training.watch import Watch
from training.worker_steps import Stream, WorkerSteps

ENGINE_VARIABLE = "STACKED_LSTM_ENGINE"


def adapt(settings: dict[str, Any], present: Mapping[str, Any]) -> None:
    """Checks the flags; raises ValueError as `Cluster.read`."""
    Cluster.read(settings)
    if settings.get("ablate_initial_state"):
        raise ValueError("--ablate_initial_state: expected none with --job_name, got both")


def run(settings: Mapping[str, Any]) -> Mapping[str, float] | None:
    """Does the work of this process in the cluster.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: what the chief prints last, or the last numbers of the evaluator; None for the other processes.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run` and `servers.start`.
    """
    cluster = Cluster.read(settings)
    if cluster.job == "ps":
        return servers.serve(cluster)
    if cluster.job == "evaluator":
        return evaluator.run(settings)
    server = servers.start(cluster)
    watch = Watch(f"{cluster.job} {cluster.index}", cluster.peers())
    with watch, local_engine(settings):
        device = tf.train.replica_device_setter(
            worker_device=f"/job:worker/task:{cluster.index}", cluster=tf.train.ClusterSpec(cluster.hosts())
        )
        if cluster.is_chief:
            make_trainer = functools.partial(ChiefTrainer, cluster, server.target, watch, settings)
            return experiment.run(settings, make_trainer, device).final
        return work(settings, cluster, server.target, watch, device)


@contextlib.contextmanager
def local_engine(settings: Mapping[str, Any]) -> Iterator[None]:
    """Runs a block in which "auto" is the engine that this process has.

    On a device of another process, "auto" cannot know which engines that process has.
    """
    with contextlib.ExitStack() as stack:
        if settings["engine"] == "auto" and not settings["peer"] and not os.environ.get(ENGINE_VARIABLE):
            with tf.Graph().as_default():
                recurrent = experiment.recurrent_layers(settings)
                recurrent(tf.placeholder(tf.float32, [None, None, 1]))
            stack.enter_context(environment.variable(ENGINE_VARIABLE, str(recurrent.engine)))
        yield


class ChiefTrainer(trainer.Trainer):
    """A `trainer.Trainer` whose steps are those of all workers. It evaluates and writes between its own steps."""

    def __init__(
        self, cluster: Cluster, target: str, watch: Watch, settings: Mapping[str, Any], network: Any, examples: Any,
        *arguments: Any,
    ) -> None:  # fmt: skip
        """Joins the cluster.

        Args:
          cluster: the processes.
          target: of the server of this process.
          watch: is told of each step.
          settings: flag -> value.
          network, examples, *arguments: as for `trainer.Trainer`.
        """
        self._cluster, self._target, self._watch, self._settings = cluster, target, watch, settings
        self._stream = Stream(examples, settings["batch_size"], settings["seed"])
        self._total = settings["epochs"] * self._stream.steps_per_epoch
        super().__init__(network, examples, *arguments)
        self._epochs = self.step // self.steps_per_epoch

    def _minimize(self, learning_rate: float, weight_decay: float) -> tuple[Any, Any]:
        arguments = self._cluster, self._network, self._stream, self._total, learning_rate, weight_decay
        self._steps = WorkerSteps(*arguments)
        return self._steps.loss, self._steps.train_op

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
            loss, arrays = self._steps.train()
            self.step = self._steps.step
            self._check_loss(loss, arrays)
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


def work(settings: Mapping[str, Any], cluster: Cluster, target: str, watch: Watch, device: Any) -> None:
    """Trains as a worker that is not the chief, until the chief has ended.

    Args:
      settings: flag -> value.
      cluster: the processes.
      target: of the server of this process.
      watch: is told of each step.
      device: of the network, as for `tf.device`.
    """
    # The chief makes the variables. Another seed gives this worker other masks for dropout.
    task = TASKS[settings["task"]](dict(settings, seed=settings["seed"] + cluster.index))
    experiment.read_data(task)
    with tf.Graph().as_default(), tf.device(device):
        recurrent = experiment.recurrent_layers(settings)
        network = task.build(recurrent)
        print(f"worker {cluster.index}: network: {recurrent.description}", flush=True)
        stream = Stream(task.train, settings["batch_size"], settings["seed"])
        total = settings["epochs"] * stream.steps_per_epoch
        decay = settings.get("weight_decay", 0)
        steps = WorkerSteps(cluster, network, stream, total, settings["learning_rate"], decay)
        steps.start(target, watch)
        print(f"worker {cluster.index}: trains from step {steps.step}", flush=True)
        count = 0
        while not steps.look():
            if steps.step < total:
                steps.train()
                count += 1
            else:
                time.sleep(servers.POLL_SECONDS)
        steps.end()
    print(f"worker {cluster.index}: made {count} steps, the chief has ended", flush=True)
