"""The gates of a trained network at each time step, for TensorBoard and as a picture."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any

import numpy as np

from shared import file_errors, pictures
from stacked_lstm import summaries
from stacked_lstm.bidirectional import directions
from stacked_lstm.commands import charts
from stacked_lstm.compat import tf
from tasks.examples import Examples
from tasks.task import Task
from training import experiment
from training.run_files import checkpoints, trained_network
from training.summaries import EventFile

PICTURE = "gates.png"
_EXAMPLES = 64  # The number of examples in the histograms.
_IMAGE = "/image"  # The tags of images end with this.


def write(task: Task, examples: Examples, checkpoint: str, directory: str) -> None:
    """Writes the summaries of the gates of a checkpoint's network to a directory, and `PICTURE` with their images.

    Args:
      task: the task, with the settings of a run without a peer.
      examples: the images show the first example, and the histograms count the first 64.
      checkpoint: the path of the checkpoint.
      directory: where to write. It is made if it does not exist.

    Raises:
      ValueError: there are no examples.
      OSError: a file cannot be written.
    """
    if not len(examples):
        raise ValueError("--gates: expected at least one example, got none")
    summary = _summary(task, examples.feed(np.arange(min(len(examples), _EXAMPLES))), checkpoint)
    with file_errors.named("--gates", directory, "write"):
        os.makedirs(directory, exist_ok=True)
    with contextlib.closing(EventFile(directory)) as events:
        events.add(summary, 0)
    path = os.path.join(directory, PICTURE)
    title = f"{task.settings['task']}: gates and states of the first example, unit by time step"
    with file_errors.named("--gates", path, "write"):
        charts.save(path, pictures.gates(title, images(summary)))


def _summary(task: Task, feed: dict[str, np.ndarray], checkpoint: str) -> tf.Summary:
    with tf.Graph().as_default(), tf.Session() as session:
        recurrent = experiment.recurrent_layers(task.settings, engine="graph", is_trained=False, return_steps=True)
        network = task.build(recurrent)
        checkpoints.restore(tf.train.Saver(), session, checkpoint, "--train_dir")
        sides = recurrent.steps
        named = sides._asdict() if isinstance(sides, directions.Directions) else {"": sides}
        parts = [
            summaries.gates(layers, recurrent.lengths, name="/".join(filter(None, ["gates", side])))
            for side, layers in named.items()
        ]
        merged = tf.summary.merge(parts)
        inputs = trained_network.needed(network.feeds, merged)
        return tf.Summary.FromString(session.run(merged, {inputs[name]: feed[name] for name in inputs}))


def images(summary: tf.Summary) -> dict[str, np.ndarray[Any, Any]]:
    """Returns a dictionary: tag, for example "gates/layer_1/f" -> image [units, steps], from 0 to 1."""
    from matplotlib.image import imread

    encoded = {value.tag: value.image.encoded_image_string for value in summary.value if value.HasField("image")}
    return {tag[: -len(_IMAGE)]: imread(io.BytesIO(data), format="png") for tag, data in encoded.items()}
