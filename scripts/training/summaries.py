"""What TensorBoard reads: numbers, pictures, and the words of an embedding."""

import os
import struct

from stacked_lstm.commands import output_files
from stacked_lstm.compat import tf
from tasks.task import PARTS

_RGBA = 4  # TensorFlow's `Summary.Image.colorspace` of the PNG files that matplotlib writes.


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
        output_files.replace(os.path.join(directory, "projector_config.pbtxt"), write)
