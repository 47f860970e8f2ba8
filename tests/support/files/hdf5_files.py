"""Files of Keras that tests write."""

import json

import h5py
import numpy as np

from stacked_lstm import layouts
from support.networks.random_networks import random_layers

LIBRARIES = {"tf_keras": "tf_keras", "keras_3": "keras"}  # Folder of the golden files -> the library.


def write_file(path, arrays, config=None, **attributes):
    """Writes arrays to a file in their order; returns its path."""
    with h5py.File(str(path), "w") as hdf5:
        for name, array in arrays.items():
            hdf5[name] = array
        for name, value in dict(attributes, **({"model_config": json.dumps(config)} if config else {})).items():
            hdf5.attrs[name] = value
    return str(path)


def group(name, shape=(3, 4), seed=0, layout="keras", names="012"):
    """The arrays of one layer, in a group of a file."""
    (layer,) = random_layers(np.random.RandomState(seed), [shape[1]], shape[0])
    packed = layouts.pack({n: array.astype(np.float32) for n, array in layer.items()}, layout)
    return dict(zip([f"{name}/{n}" for n in names], packed.values()))
