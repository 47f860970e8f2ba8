"""The network of a finished run, in a session."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping, NamedTuple

import numpy as np

from stacked_lstm.compat import tf
from tasks import TASKS, networks
from tasks.task import Task
from training import experiment
from training.run_files import checkpoints


class TrainedNetwork(NamedTuple):
    """A trained network.

    Fields:
      session: an open session with the values of the checkpoint.
      task: the task, with its data.
      network: the `networks.Network`.
      inputs: name -> placeholder, those that the predictions need.
      checkpoint: the path of the checkpoint.
    """

    session: tf.Session
    task: Task
    network: networks.Network
    inputs: Mapping[str, tf.Tensor]
    checkpoint: str


@contextlib.contextmanager
def opened(train_dir: str, checkpoint: str | None = None, data_dir: str | None = None) -> Iterator[TrainedNetwork]:
    """Builds the network of a run with the engine `graph` and restores a checkpoint, for the block.

    Args:
      train_dir: the run's directory.
      checkpoint: a checkpoint; None for the best one, or else the last one.
      data_dir: where the data are now; None for where they were.

    Yields:
      `TrainedNetwork`.

    Raises:
      ValueError, OSError, ImportError: the flags or the run do not allow it; one line says why.
    """
    settings = experiment.read_settings(train_dir)
    settings["data_dir"] = data_dir or settings["data_dir"]
    task = TASKS[settings["task"]](settings)
    task.restore()
    experiment.read_data(task)
    path = checkpoint or experiment.find_checkpoint(train_dir)
    checkpoints.check_name(checkpoint)
    with tf.Graph().as_default(), tf.Session() as session:
        engine = "auto" if settings["peer"] else "graph"  # A peer has no other engine.
        network = task.build(experiment.recurrent_layers(settings, engine=engine, is_trained=False))
        checkpoints.restore(tf.train.Saver(), session, path, "--checkpoint" if checkpoint else "--train_dir")
        yield TrainedNetwork(session, task, network, needed(network.feeds, network.predictions), path)


def needed(feeds: Mapping[str, tf.Tensor], output: tf.Tensor) -> dict[str, tf.Tensor]:
    """The placeholders, by their names, that an output depends on."""
    part = tf.graph_util.extract_sub_graph(output.graph.as_graph_def(), [output.op.name])
    names = {node.name for node in part.node}
    return {name: placeholder for name, placeholder in feeds.items() if placeholder.op.name in names}


def all_examples(trained: TrainedNetwork) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of all test examples, for the inputs."""
    feed = trained.task.test.feed(np.arange(len(trained.task.test)))
    return {name: feed[name] for name in trained.inputs}
