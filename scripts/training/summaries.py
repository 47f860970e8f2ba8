"""What TensorBoard reads: numbers, pictures, and the words of an embedding."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

from shared import file_errors
from stacked_lstm.commands import output_files
from stacked_lstm.compat import tf
from tasks.task import PARTS

_RGBA = 4  # TensorFlow's `Summary.Image.colorspace` of the PNG files that matplotlib writes.


class EventFile:
    """A new file of events. What has been flushed survives the process, and an error is raised where it happens.

    `tf.summary.FileWriter` writes from a thread of its own, later.
    """

    def __init__(self, directory: str, graph: tf.Graph | None = None) -> None:
        """Creates the file in an existing directory; TensorBoard also shows `graph`."""
        start = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        number = 0
        while os.path.exists(os.path.join(directory, f"{start}.{number}")):
            number += 1
        self._path = os.path.join(directory, f"{start}.{number}")
        with file_errors.named("--train_dir", self._path, "write"):
            self._writer = tf.python_io.TFRecordWriter(self._path)
        self._add(file_version="brain.Event:2")
        if graph is not None:
            self._add(graph_def=graph.as_graph_def(add_shapes=True).SerializeToString())

    def start_after(self, step: int) -> None:
        """Tells TensorBoard to drop what a killed run wrote for later steps than `step`."""
        self._add(step=step + 1, session_log=tf.SessionLog(status=tf.SessionLog.START))

    def add(self, summary: tf.Summary, step: int) -> None:
        """Adds a summary."""
        self._add(step=step, summary=summary)

    def _add(self, **fields: Any) -> None:
        with file_errors.named("--train_dir", self._path, "write"):
            self._writer.write(tf.Event(wall_time=time.time(), **fields).SerializeToString())

    def flush(self) -> None:
        """Gives all events to the operating system. Raises OSError, for example if the disk is full."""
        with file_errors.named("--train_dir", self._path, "write"):
            self._writer.flush()

    def close(self) -> None:
        """Closes the file, after which it takes no more events."""
        with file_errors.named("--train_dir", self._path, "write"):
            self._writer.close()


def scalars(numbers):
    """Name -> number as a `tf.Summary`."""
    return tf.Summary(value=[tf.Summary.Value(tag=tag(name), simple_value=value) for name, value in numbers.items()])


def tag(name):
    """A number's name in TensorBoard, which shows tags with one prefix in one group: test_loss is loss/test."""
    part, _, quantity = name.partition("_")
    return f"{quantity}/{part}" if part in (*PARTS, "batch") else name


def images(paths):
    """Name -> path of a PNG file as a `tf.Summary`."""
    return tf.Summary(value=[tf.Summary.Value(tag=name, image=_image(path)) for name, path in paths.items()])


def _image(path):
    with open(path, "rb") as file:
        content = file.read()
    # In the first chunk, after the file's signature and the chunk's header, of 8 bytes each.
    width, height = struct.unpack(">II", content[16:24])
    return tf.Summary.Image(width=width, height=height, colorspace=_RGBA, encoded_image_string=content)


def write_projector(directory, embeddings):
    """Tells TensorBoard's projector which words the rows of an embedding stand for.

    Args:
      directory: the directory of the checkpoints and events.
      embeddings: a variable's name -> name of a file there, with a line per row. If empty, nothing is written.
    """
    text = "".join(
        f'embeddings {{\n  tensor_name: "{name}"\n  metadata_path: "{file}"\n}}\n' for name, file in embeddings.items()
    )

    def write(path):
        with open(path, "w") as file:
            file.write(text)

    if embeddings:
        path = os.path.join(directory, "projector_config.pbtxt")
        with file_errors.named("--train_dir", path, "write"):
            output_files.replace(path, write)
