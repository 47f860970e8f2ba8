"""Training on several devices of one process: each has a copy of the network for its share of a batch."""

from __future__ import annotations

import copy
import functools
from typing import Any, Mapping

import numpy as np

from stacked_lstm import compat
from stacked_lstm.compat import tf
from tasks.examples import share
from tasks.networks import Network, Recurrent
from training import experiment, optimizer, trainer

_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")


def adapt(settings: dict[str, Any], present: Mapping[str, Any]) -> None:
    """Raises ValueError for a flag that does not go with --replicas."""
    for name in ("job_name", "peer", "ablate_initial_state", "ablate_dropout"):
        if settings.get(name):
            raise ValueError(f"--{name}: expected none with --replicas, got {settings[name]}")


def run(settings: Mapping[str, Any]) -> Mapping[str, float]:
    """Trains on --replicas devices; see `experiment.run`.

    Raises:
      ValueError: there are GPUs, but not that many.
    """
    towers = Towers(settings["replicas"])
    return experiment.run(settings, functools.partial(ReplicaTrainer, towers), build=towers.build).final


class Towers:
    """Copies of a network, one per device, with one set of variables.

    Attributes:
      devices: names of the devices, such as "/gpu:0".
      networks: list of `Network`, one per device; empty before `build`.
    """

    def __init__(self, count: int) -> None:
        """Takes the number of copies; raises ValueError if there are GPUs, but fewer."""
        kind = "gpu" if compat.gpu_visible() else "cpu"
        if kind == "gpu" and count > len(_gpus()):
            raise ValueError(f"--replicas: expected at most {len(_gpus())}, the number of GPUs, got {count}")
        self.devices = [f"/{kind}:{k}" for k in range(count)]
        self.networks: list[Network] = []

    def build(self, task: Any, recurrent: Recurrent) -> Network:
        """Adds the copies to the graph; returns the first one, which also evaluates."""
        for k, device in enumerate(self.devices):
            copied = copy.copy(task)  # Another seed gives each copy other masks for dropout.
            copied.settings = dict(task.settings, seed=task.settings["seed"] + k)
            # The same scope again, so that the scopes in it get the same names.
            with tf.device(_place(device)), tf.variable_scope(tf.get_variable_scope(), reuse=bool(self.networks)):
                self.networks.append(copied.build(recurrent))
        return self.networks[0]


def _gpus() -> list[str]:
    with tf.Session() as session:
        return [device.name for device in session.list_devices() if device.device_type == "GPU"]


def _place(device: str) -> Any:
    """The device of a copy; the variables, which all copies share, are on the CPU."""
    return lambda op: "/cpu:0" if op.type in _VARIABLES else device


class ReplicaTrainer(trainer.Trainer):
    """A `trainer.Trainer` whose steps are computed by all copies of a network: the gradient is that of the batch."""

    def __init__(self, towers: Towers, *arguments: Any) -> None:
        """Takes the copies, and the arguments of `trainer.Trainer`."""
        self._towers = towers.networks
        self._config = tf.ConfigProto(allow_soft_placement=True, device_count={"CPU": len(towers.devices)})
        super().__init__(*arguments)

    def _minimize(self, learning_rate: float, weight_decay: float) -> tuple[Any, Any]:
        self._weights = [tf.placeholder(tf.float32, []) for _ in self._towers]
        parts = [w * tf.reduce_mean(tower.losses) for w, tower in zip(self._weights, self._towers)]
        loss, adam = tf.add_n(parts), optimizer.Adam(learning_rate, weight_decay)
        return loss, adam.minimize(loss, self._global_step, colocate_gradients_with_ops=True)

    def _training_feed(self, arrays: Mapping[str, np.ndarray]) -> dict[Any, Any]:
        feed, count = {}, len(self._towers)
        rows = np.arange(len(next(iter(arrays.values()))))
        for k, (tower, weight) in enumerate(zip(self._towers, self._weights)):
            part, factor = share(rows, k, count)
            feed.update(trainer.training_feed(tower, {name: array[part] for name, array in arrays.items()}))
            feed[weight] = factor / count
        return feed
