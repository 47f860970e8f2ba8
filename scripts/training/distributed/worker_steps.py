"""The training steps of one worker: which batches it takes, and sessions that survive lost processes."""

from __future__ import annotations

import time
from typing import Any, Callable, Sequence

import numpy as np

from stacked_lstm.compat import tf
from training import optimizer
from training.distributed import servers
from training.distributed.cluster import Cluster
from training.distributed.replicas import Replicas
from training.distributed.watch import Watch

_LOST = (tf.errors.AbortedError, tf.errors.UnavailableError)
_RECOVERY_SECONDS = 1  # A worker asks so often whether the variables exist. TensorFlow's default is 30.


class Current(tf.train.SessionRunHook):
    """A hook that knows the session that is open now.

    Attributes:
      session: the `tf.Session` itself, without hooks.
      count: number of sessions so far.
    """

    session, count = None, 0

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Called by TensorFlow."""
        self.session = session
        self.count += 1


class Patient(tf.train.SessionCreator):
    """Makes the sessions of workers other than the chief: each waits until the chief has made the variables."""

    def __init__(self, scaffold: tf.train.Scaffold, target: str, config: Any) -> None:
        """Takes what `tf.train.WorkerSessionCreator` takes."""
        self._scaffold, self._target, self._config = scaffold, target, config

    def create_session(self) -> Any:
        """Called by TensorFlow."""
        scaffold = self._scaffold.finalize()
        manager = tf.train.SessionManager(
            ready_op=scaffold.ready_op,
            ready_for_local_init_op=scaffold.ready_for_local_init_op,
            local_init_op=scaffold.local_init_op,
            recovery_wait_secs=_RECOVERY_SECONDS,
        )
        return manager.wait_for_session(self._target, config=self._config, max_wait_secs=float("inf"))


class WorkerSteps:
    """Training steps of a worker. The graph must have the network already, on the devices of the cluster.

    Attributes:
      step: int, the number of the next step: of all workers, or of this one with the synchronous workers.
      train_op: the op of a step.
    """

    def __init__(self, cluster: Cluster, copies: Replicas, total: int, learning_rate: float, decay: float) -> None:
        """Adds the optimizer and the queues of the cluster to the graph.

        Args:
          cluster: the processes.
          copies: the network of this worker, and its examples.
          total: number of training steps.
          learning_rate, decay: see `optimizer.Adam`.
        """
        self._cluster, self._copies, self._total = cluster, copies, total
        self._workers = len(cluster.worker_hosts)
        self._ends, self.step, self._taken, self._sessions = servers.Ends(cluster), 0, 0, 0
        self._current = Current()
        self._hooks: list[Any] = [self._current]
        self._global_step = tf.train.get_or_create_global_step()
        add = self._add_synchronous if cluster.is_synchronous else self._add_asynchronous
        self._last = [self._ends.add]
        self.train_op = add(learning_rate, decay)

    def _add_asynchronous(self, learning_rate: float, decay: float) -> Any:
        self._own_step = self._global_step
        return self._copies.minimize(optimizer.Adam(learning_rate, decay))

    def _add_synchronous(self, learning_rate: float, decay: float) -> Any:
        cluster, workers = self._cluster, self._workers
        adam = optimizer.SynchronousAdam(learning_rate, decay, cluster.index, workers)
        synchronous = tf.train.SyncReplicasOptimizer(adam, workers, workers)
        train_op = self._copies.minimize(synchronous)
        self._hooks.append(synchronous.make_session_run_hook(cluster.is_chief))
        self._own_step, tokens = synchronous._local_step, synchronous._sync_token_queue
        self._take_token = tf.assign(self._own_step, tokens.dequeue())
        self._return_token = tokens.enqueue(self._own_step)
        self._last = [self._ends.add, tokens.enqueue_many([tf.fill([workers], np.int64(self._total))])]
        # Newer TensorFlows close the queue of the tokens with the chief's session, and a new session does not open it.
        updates = synchronous.get_chief_queue_runner().enqueue_ops
        closed = (tf.errors.OutOfRangeError, tf.errors.CancelledError)
        synchronous._chief_queue_runner = tf.train.QueueRunner(
            tf.FIFOQueue(1, tf.int32, []), updates, queue_closed_exception_types=closed
        )
        return train_op

    def start(
        self, target: str, watch: Watch, saver: Any = None, train_dir: str | None = None, hooks: Sequence[Any] = ()
    ) -> None:
        """Opens the session; the chief makes the variables, or restores them from `train_dir`.

        Args:
          target: of the server of this process.
          watch: is told of each step.
          saver: `tf.train.Saver`, for the chief.
          train_dir: directory of the checkpoints, for the chief.
          hooks: further `tf.train.SessionRunHook`s.
        """
        self._watch, self._target, self._graph = watch, target, tf.get_default_graph()
        config, hooks = servers.session_config(self._cluster), self._hooks + list(hooks)
        if self._cluster.is_chief:
            scaffold = tf.train.Scaffold(saver=saver)
            self._session = tf.train.MonitoredTrainingSession(
                target, True, train_dir, scaffold, hooks, save_checkpoint_secs=None, save_summaries_steps=None,
                save_summaries_secs=None, config=config, log_step_count_steps=None,
                stop_grace_period_secs=1)  # fmt: skip
        else:
            creator = Patient(tf.train.Scaffold(saver=saver), target, config)
            self._session = tf.train.MonitoredSession(creator, hooks)
        self.look()

    @property
    def session(self) -> Any:
        """The `tf.Session` that is open now, without hooks."""
        return self._current.session

    def look(self) -> bool:
        """Reads the number of the next step; returns whether the training has ended."""
        self.step, has_ended = self._session.run([self._own_step, self._ends.training_ended])
        self._watch.progress()
        return bool(has_ended)

    def on_session(self, function: Callable) -> Any:
        """Returns what a function returns; calls it again in a new session if it loses a process."""
        while True:
            try:
                with self._watch.paused():
                    return function()
            except _LOST:
                self.look()  # TensorFlow opens a new session.

    def train(self) -> tuple[float, int]:
        """Makes a step; returns its loss and the number of its batch."""

        def step_fn(step_context):  # TensorFlow calls it again in a new session if a process is lost.
            return self._train(step_context.run_with_hooks)

        result = self._session.run_step_fn(step_fn)
        self._watch.progress()
        return result

    def _train(self, run: Callable) -> tuple[float, int]:
        copies = self._copies
        if self._sessions != self._current.count:
            self.step = int(run(self._own_step))
            self._sessions, self._taken = self._current.count, self.step // self._workers
            copies.pipeline.forget()
        number = self._number()
        copies.pipeline.go_to(run, number)
        loss, token = run([copies.loss, self.train_op], copies.feed)
        self._taken += 1
        self.step = self._settle(run, int(token)) if self._cluster.is_synchronous else int(run(self._own_step))
        return float(loss), number

    def _number(self) -> int:
        """The number of the next batch that this worker takes, or takes a part of."""
        if self._cluster.is_synchronous or self._workers == 1:
            return self.step
        return self._taken * self._workers + self._cluster.index

    def _settle(self, run: Callable, token: int) -> int:
        """Waits for the token of the next step, and returns the number of that step.

        TensorFlow gives a token to each worker that asks for one. A fast worker may get the token of a slow worker or
        of a killed one. With it, the fast worker would compute its part of a step twice. It therefore returns the token
        of the present step. It drops a token of a past step, which another worker returned too late.
        """
        while token <= self.step:
            global_step = int(run(self._global_step))
            if global_step <= token < self.step:
                return token  # The chief was started again, from an earlier step.
            if global_step == token == self.step:
                run(self._return_token)
                time.sleep(0.01)
            token = int(run(self._take_token))
        return token

    def end(self) -> None:
        """Closes the session, and says that this worker has ended."""
        try:
            self._session.close()
            # Only now: parameter servers end soon after the chief has said that it has ended.
            with tf.Session(self._target, self._graph, servers.session_config(self._cluster)) as session:
                session.run(self._last if self._cluster.is_chief else self._ends.add)
        except _LOST:  # The parameter servers have ended before.
            pass
