"""The training of a worker that is not the chief: steps, until the chief has ended."""

from __future__ import annotations

import time
from typing import Any, Mapping

from stacked_lstm.compat import tf
from tasks import TASKS
from training import experiment, servers
from training.cluster import Cluster
from training.watch import Watch
from training.worker_steps import Stream, WorkerSteps


def train(settings: Mapping[str, Any], cluster: Cluster, target: str, watch: Watch, device: Any) -> None:
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
