"""Networks of the drop-in against the golden numbers of TensorFlow 1.15."""

import os

import numpy as np

from golden import cells
from stacked_lstm.compat import tf
from stacked_lstm.parity.measure import TOLERANCES
from support.suite.paths import OF_TENSORFLOW


def check_numbers(name, network, files, session):
    """Restores a network's variables by name and compares outputs, final states and all gradients.

    Args:
      name: the case.
      network: its `golden.cells.Network`.
      files: the common name of the checkpoint and of the archive.
      session: a `tf.Session`.
    """
    expected = cells.arrays_of(np.load(os.path.join(OF_TENSORFLOW, files + ".npz")), name)
    tf.train.Saver(network.variables).restore(session, os.path.join(OF_TENSORFLOW, files + ".ckpt"))
    actual = session.run(network.results, {network.placeholders[key]: expected[key] for key in network.placeholders})
    tolerance = TOLERANCES[expected["outputs"].dtype.name]
    for key, value in actual.items():
        assert value.dtype == expected[key].dtype and value.shape == expected[key].shape, key
        difference, size = np.max(np.abs(value - expected[key])), np.max(np.abs(expected[key]))
        assert difference <= tolerance * size, (key, difference, size)
    assert set(expected) == set(actual) | set(network.placeholders)
