"""What TensorBoard reads: numbers, pictures, and which words an embedding has."""

import os
import struct

import files
from stacked_lstm.compat import tf

_RGBA = 4  # Of PNG files that matplotlib writes; TensorFlow's `Summary.Image.colorspace`.


def scalars(numbers):
    """name -> number as a `tf.Summary`."""
    return tf.Summary(value=[tf.Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()])


def images(paths):
    """name -> path of a PNG file as a `tf.Summary`."""
    return tf.Summary(value=[tf.Summary.Value(tag=name, image=_image(path)) for name, path in paths.items()])


def _image(path):
    with open(path, "rb") as file:
        content = file.read()
    # In the first chunk, after the file's signature and the chunk's header, of 8 bytes each.
    width, height = struct.unpack(">II", content[16:24])
    return tf.Summary.Image(width=width, height=height, colorspace=_RGBA, encoded_image_string=content)


def write_projector(directory, embeddings):
    """Tells TensorBoard's projector whose the rows of embeddings are.

    Args:
      directory: of the checkpoints and events.
      embeddings: a variable's name -> name of a file there, a line per row. Nothing is written if there are none.
    """
    text = "".join(
        'embeddings {\n  tensor_name: "%s"\n  metadata_path: "%s"\n}\n' % pair for pair in embeddings.items()
    )

    def write(path):
        with open(path, "w") as file:
            file.write(text)

    if embeddings:
        files.replace(os.path.join(directory, "projector_config.pbtxt"), write)
