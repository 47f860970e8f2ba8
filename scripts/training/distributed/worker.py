"""The training of a worker that is not the chief: steps, until the chief has ended."""

from __future__ import annotations

import time
from typing import Any, Mapping

from stacked_lstm.compat import tf
from tasks import TASKS
from training import experiment
from training.distributed import replicas, servers
from training.distributed.cluster import Cluster
from training.distributed.watch import Watch
from training.distributed.worker_steps import WorkerSteps
from training.pipeline import Split


def train(settings: Mapping[str, Any], cluster: Cluster, target: str, watch: Watch, device: Any, split: Split) -> None:
    """Trains as a worker that is not the chief, until the chief has ended.

    Args:
      settings: flag -> value.
      cluster: the processes.
      target: of the server of this process.
      watch: is told of each step.
      device: of the network, as for `tf.device`.
      split: what this worker takes of the batches.
    """
    # The chief makes the variables. Another seed gives this worker other masks for dropout.
    seed = settings["seed"] + cluster.index * (settings["replicas"] or 1)
    task = TASKS[settings["task"]](dict(settings, seed=seed))
    experiment.read_data(task)
    with tf.Graph().as_default(), tf.device(device):
        recurrent = experiment.recurrent_layers(settings)
        copies = replicas.build(task, recurrent, settings, split)
        print(f"worker {cluster.index}: network: {recurrent.description}", flush=True)
        total = settings["epochs"] * copies.pipeline.steps_per_epoch
        decay = settings.get("weight_decay", 0)
        steps = WorkerSteps(cluster, copies, total, settings["learning_rate"], decay)
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
