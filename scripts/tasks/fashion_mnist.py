"""Ten kinds of clothing in 28 x 28 grey pixels; the rows of an image are its time steps.

The files are those of Xiao, Rasul and Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms: IDX (https://yann.lecun.com/exdb/mnist/), compressed with gzip.
"""

import functools
import gzip
import operator
import os
import struct
import zlib

import numpy as np

from tasks.classification import Classification
from tasks.examples import Examples

# Where Debian's package puts the files, and where Keras puts them.
DEFAULT_DIRS = ("/usr/share/datasets/fashion-mnist", os.path.join("~", ".keras", "datasets", "fashion-mnist"))
FILES = {"train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
         "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")}  # fmt: skip
IMAGE_SHAPE = (28, 28)
# Of the 60000 training images' pixels, 0 to 255.
PIXEL_MEAN, PIXEL_DEVIATION = 72.9, 90.0

MOST_VALUES = 2**30  # A header could promise more than any memory has.

_UNSIGNED_BYTE = 0x08


class FashionMnist(Classification):
    """An LSTM over the rows of an image, a dense layer of 128 rectified units, softmax over the classes."""

    DEFAULTS = {
        "hidden_sizes": [256],
        "initial_state": "zeros",
        "weight_initializer": "dl",
        "epochs": 10,
        "batch_size": 128,
        "learning_rate": 1e-3,
    }
    CLASSES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    NAME = "image"

    def read(self):
        directory = find(self.settings["data_dir"])
        self.train = self._read(directory, "train").first(self.settings["train_examples"])
        self.test = self._read(directory, "test")

    def _read(self, directory, split):
        examples = read(directory, split)
        self.check_labels(examples["labels"], FILES[split][1])
        return examples

    def build(self, recurrent, batch=None):
        from stacked_lstm.compat import tf
        from tasks import networks

        feeds = networks.inputs({"images": (tf.uint8, (None,) + IMAGE_SHAPE), "labels": (tf.uint8, [None])}, batch)
        labels = tf.cast(feeds["labels"], tf.int64)
        _, last = recurrent((tf.cast(feeds["images"], tf.float32) - PIXEL_MEAN) / PIXEL_DEVIATION)
        return self.head(feeds, labels, networks.dense(last, 128, tf.nn.relu), training=recurrent.training)

    def names(self, examples):
        """The images' numbers, from 0."""
        return range(len(examples))


def find(data_dir=None):
    """Returns the first directory of `DEFAULT_DIRS` that has all four files; or `data_dir`, if it is not None.

    Raises:
      FileNotFoundError: there is none; the message says how to get the files.
    """
    candidates = [data_dir] if data_dir else DEFAULT_DIRS
    names = [name for pair in FILES.values() for name in pair]
    for directory in map(os.path.expanduser, candidates):
        missing = [name for name in names if not os.path.isfile(os.path.join(directory, name))]
        if not missing:
            return directory
    raise FileNotFoundError(
        f"--data_dir: expected Fashion-MNIST's four .gz files in {' or '.join(candidates)}, found no {missing[0]}; get "
        "them by `apt install dataset-fashion-mnist` or `tf.keras.datasets.fashion_mnist.load_data()`, or name the "
        "directory that has them"
    )


def read(directory, split):
    """Returns `Examples` of `split`, "train" or "test": images uint8 [N, 28, 28], labels uint8 [N].

    Raises:
      ValueError: a file is damaged or has no images, or the two do not belong together.
    """
    images_path, labels_path = (os.path.join(directory, name) for name in FILES[split])
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != IMAGE_SHAPE:
        expected, actual = (" x ".join(map(str, shape)) for shape in (IMAGE_SHAPE, images.shape[1:]))
        raise ValueError(f"{images_path}: expected images of {expected}, got {actual}")
    if len(images) != len(labels):
        raise ValueError(f"{labels_path}: expected a label per image, got {len(labels)} for {len(images)}")
    if not len(images):
        raise ValueError(f"{images_path}: expected images, got none")
    return Examples(images=images, labels=labels)


def read_idx(path, rank):
    """Returns the uint8 array of rank `rank` in a gzipped IDX file.

    The format: two zero bytes, a byte for the type, one for the rank, each size as a big-endian uint32, the values.

    Raises:
      ValueError: not gzip, cut short, another type or rank, more or fewer values than the sizes say.
    """
    try:
        with gzip.open(path, "rb") as file:
            shape = _shape(path, rank, file.read(4 + 4 * rank))
            expected = functools.reduce(operator.mul, shape)  # NumPy's product would wrap.
            if expected > MOST_VALUES:
                raise ValueError(f"{path}: expected at most {MOST_VALUES} values, got the shape {shape}")
            content = file.read(expected + 1)
            actual = len(content) if len(content) <= expected else f"more than {expected}"
    except (EOFError, zlib.error, OSError) as error:
        raise ValueError(f"{path}: expected a whole gzip file ({error})") from None
    if actual != expected:
        raise ValueError(f"{path}: expected {expected} values of shape {shape}, got {actual}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(path, rank, header):
    """The sizes in the header of an IDX file. Raises ValueError if it is of another type or rank, or cut short."""
    magic = bytes([0, 0, _UNSIGNED_BYTE, rank])
    if header[:4] != magic or len(header) < 4 + 4 * rank:
        raise ValueError(f"{path}: expected an IDX header that starts with {magic.hex()}, got {header.hex()}")
    return struct.unpack(f">{rank}I", header[4:])
