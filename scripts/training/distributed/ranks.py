"""Training with Horovod: the processes that `horovodrun` has started, the ranks, share each batch.

Each rank has the whole network. In each step, Horovod's optimizer takes the mean of the gradients of all ranks. Rank 0
also evaluates and writes the results.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any, Mapping

from stacked_lstm.compat import tf
from tasks import TASKS
from training import experiment, optimizer, trainer
from training.distributed import replicas
from training.pipeline import Split

LIBRARY = "horovod.tensorflow"

_END = -1  # Rank 0 sends it in place of the number of a step.


def run(settings: Mapping[str, Any]) -> Mapping[str, float] | None:
    """Trains as one of the ranks.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: what rank 0 prints last; None for the other ranks.

    Raises:
      ImportError: the package horovod is not installed.
      ValueError, OSError, FloatingPointError: see `experiment.run`.
    """
    try:
        horovod = importlib.import_module(LIBRARY)
    except ImportError as error:
        raise ImportError(f"--horovod needs the package horovod ({error}): pip install horovod") from None
    horovod.init()
    split = Split.process(horovod.rank(), horovod.size(), 1)
    if horovod.rank() == 0:
        return experiment.run(settings, functools.partial(RankTrainer, horovod), split=split).final
    return follow(settings, horovod, split)


def session_config(horovod: Any) -> tf.ConfigProto:
    """The configuration of a session: of the GPUs of this machine, each rank uses one."""
    return tf.ConfigProto(gpu_options=tf.GPUOptions(visible_device_list=str(horovod.local_rank())))


class SharedStep:
    """A training step of all ranks. The graph must have the network already, and the same one in each rank.

    Attributes:
      train_op: the op of a step.
      hook: the `tf.train.SessionRunHook` that gives the variables of rank 0 to all ranks.
    """

    def __init__(self, horovod: Any, copies: replicas.Replicas, learning_rate: float, decay: float) -> None:
        """Adds the optimizer to the graph.

        Args:
          horovod: the module `horovod.tensorflow`.
          copies: the network of this rank, and its part of each batch.
          learning_rate, decay: see `optimizer.Adam`.
        """
        self.train_op = copies.minimize(horovod.DistributedOptimizer(optimizer.Adam(learning_rate, decay)))
        self.hook = horovod.BroadcastGlobalVariablesHook(0)
        self._number = tf.placeholder(tf.int64, [])
        self._number_of_rank_0 = horovod.broadcast(self._number, 0, name="number_of_step")

    def agree(self, session: tf.Session, number: int = _END) -> int:
        """Waits for all ranks; returns the number of rank 0: that of the next step, or -1 if there is none."""
        return int(session.run(self._number_of_rank_0, {self._number: number}))


class RankTrainer(trainer.Trainer):
    """The `trainer.Trainer` of rank 0, whose steps are those of all ranks. It reports its own losses."""

    def __init__(self, horovod: Any, *arguments: Any) -> None:
        """Takes the module `horovod.tensorflow`, and the arguments of `trainer.Trainer`."""
        self._horovod = horovod
        super().__init__(*arguments)

    def _minimize(self, learning_rate: float, weight_decay: float) -> tf.Operation:
        self._shared = SharedStep(self._horovod, self._copies, learning_rate, weight_decay)
        self._shared.hook.begin()
        return self._shared.train_op

    def _session_config(self) -> tf.ConfigProto:
        return session_config(self._horovod)

    def _start(self) -> None:
        super()._start()
        self._shared.hook.after_create_session(self._session, None)

    def _train(self) -> float:
        self._shared.agree(self._session, self.step)
        return super()._train()

    def close(self) -> None:
        """Ends the training of all ranks."""
        self._shared.agree(self._session)
        super().close()


def follow(settings: Mapping[str, Any], horovod: Any, split: Split) -> None:
    """Trains as a rank other than 0, until rank 0 ends. Raises as `experiment.read_data`."""
    rank = horovod.rank()
    # Rank 0 gives the variables to all. Another seed gives this rank other masks for dropout.
    task = TASKS[settings["task"]](dict(settings, seed=settings["seed"] + rank))
    experiment.read_data(task)
    with tf.Graph().as_default():
        tf.set_random_seed(settings["seed"] + rank)
        recurrent = experiment.recurrent_layers(settings)
        copies = replicas.build(task, recurrent, settings, split)
        print(f"rank {rank}: network: {recurrent.description}", flush=True)
        shared = SharedStep(horovod, copies, settings["learning_rate"], settings.get("weight_decay", 0))
        creator, count = tf.train.ChiefSessionCreator(config=session_config(horovod)), 0
        with tf.train.MonitoredSession(creator, [shared.hook]) as session:
            number = shared.agree(session)
            while number != _END:
                copies.pipeline.go_to(session.run, number)
                session.run(shared.train_op, copies.feed)
                count, number = count + 1, shared.agree(session)
    print(f"rank {rank}: made {count} steps, rank 0 has ended", flush=True)
