"""What each process of a cluster does: parameter servers hold the variables, workers compute, worker 0 is the chief."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any, Iterator, Mapping

from shared import environment
from stacked_lstm.compat import tf
from training import experiment
from training.distributed import chief, evaluator, replicas, servers, worker
from training.distributed.cluster import Cluster
from training.distributed.watch import Watch
from training.pipeline import Split

ENGINE_VARIABLE = "STACKED_LSTM_ENGINE"


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
    server = servers.start(cluster, replicas.session_config(settings["replicas"]))
    watch = Watch(f"{cluster.job} {cluster.index}", cluster.peers())
    with watch, local_engine(settings):
        device, devices = placement(cluster), settings["replicas"] or 1
        split = Split.process(cluster.index, len(cluster.worker_hosts), devices, cluster.is_synchronous)
        if cluster.is_chief:
            make_trainer = functools.partial(chief.ChiefTrainer, cluster, server.target, watch, settings)
            return experiment.run(settings, make_trainer, device, split).final
        return worker.train(settings, cluster, server.target, watch, device, split)


def placement(cluster: Cluster) -> Any:
    """Returns a worker's argument of `tf.device`: variables are on the parameter servers, other ops on the worker."""
    return tf.train.replica_device_setter(
        worker_device=f"/job:worker/task:{cluster.index}", cluster=tf.train.ClusterSpec(cluster.hosts())
    )


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
