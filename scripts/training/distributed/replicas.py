"""The copies of a network in one process: each has a device and its part of each batch, and all share the variables."""

from __future__ import annotations

import copy
from typing import Any, Mapping, Sequence

from stacked_lstm import compat
from stacked_lstm.compat import tf
from tasks.networks import Network, Recurrent
from tasks.task import Task
from training.pipeline import Pipeline, Split

_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")


class Replicas:
    """The copies of a network, and the pipeline that they read. Without --replicas, there is one copy.

    Attributes:
      networks: list of `Network`. The first one also evaluates.
      pipeline: `Pipeline`.
      objective: float32 [], the loss that a step minimizes. If the processes share each batch, the mean of `objective`
        over all processes is the mean loss of the batch.
      loss: float32 [], the mean loss of the examples of this process; 0 if it has none.
      feed: placeholder -> value in a training step.
      config: `tf.ConfigProto` of a session; None for TensorFlow's.
    """

    def __init__(self, networks: Sequence[Network], pipeline: Pipeline, config: Any = None) -> None:
        """Adds the losses to the graph.

        Args:
          networks: the copies, which read the parts of the pipeline in their order.
          pipeline, config: see the attributes.
        """
        self.networks, self.pipeline, self.config = networks, pipeline, config
        weights = [part.weight for part in pipeline.parts]
        total = tf.add_n([weight * tf.reduce_mean(network.losses) for weight, network in zip(weights, networks)])
        self.objective = total / len(networks)
        self.loss = tf.div_no_nan(total, tf.add_n(weights))
        self.feed = {network.training: True for network in networks if network.training is not None}

    def minimize(self, optimizer: tf.train.Optimizer) -> tf.Operation:
        """Adds a training step to the graph, which also increments the global step."""
        step = tf.train.get_or_create_global_step()
        return optimizer.minimize(self.objective, step, colocate_gradients_with_ops=len(self.networks) > 1)


def build(task: Task, recurrent: Recurrent, settings: Mapping[str, Any], split: Split | None = None) -> Replicas:
    """Adds the pipeline of a task's training examples and the copies of its network to the graph.

    Args:
      task: the task, with its data.
      recurrent: the layers, which all copies share.
      settings: flag -> value.
      split: what this process takes of the batches; None if no other process trains.

    Raises:
      ValueError: there are GPUs, but fewer than --replicas.
    """
    places = devices(settings["replicas"])
    split = split or Split.process(0, 1, len(places))
    pipeline, networks = Pipeline(task.train, settings["batch_size"], settings["seed"], split), []
    for k, (device, part) in enumerate(zip(places, pipeline.parts)):
        copied = copy.copy(task)  # Another seed gives each copy other masks for dropout.
        copied.settings = dict(task.settings, seed=task.settings["seed"] + k)
        # Each copy enters the same scope, so that the scopes in it get the same names.
        with tf.device(_placement(device)), tf.variable_scope(tf.get_variable_scope(), reuse=bool(networks)):
            networks.append(copied.build(recurrent, part.batch))
    return Replicas(networks, pipeline, session_config(settings["replicas"]))


def devices(replicas: int | None) -> list[str]:
    """Returns the device of each copy, such as "/gpu:0"; without --replicas, "" for TensorFlow's choice.

    Raises:
      ValueError: there are GPUs, but fewer than `replicas`.
    """
    if replicas is None:
        return [""]
    kind = "gpu" if compat.gpu_visible() else "cpu"
    if kind == "gpu" and replicas > len(_gpus()):
        raise ValueError(f"--replicas: expected at most {len(_gpus())}, the number of GPUs, got {replicas}")
    return [f"/{kind}:{k}" for k in range(replicas)]


def session_config(replicas: int | None) -> tf.ConfigProto | None:
    """The configuration of a session or a server with a CPU device for each copy; None without --replicas."""
    return tf.ConfigProto(allow_soft_placement=True, device_count={"CPU": replicas}) if replicas else None


def _gpus() -> list[str]:
    with tf.Session() as session:
        return [device.name for device in session.list_devices() if device.device_type == "GPU"]


def _placement(device: str) -> Any:
    """The argument of `tf.device` for a copy; the variables, which all copies share, are on a CPU."""
    return device and (lambda op: "/cpu:0" if op.type in _VARIABLES else device)
