"""A program of 2017 goes on where TensorFlow 1.15 left it, with one import changed."""

import os

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from support import legacy_program
from support.native_ops import auto_engine
from support.paths import OF_TENSORFLOW


@pytest.mark.parametrize("engine", [None, "stepwise"])
def test_restored_and_trained_on(engine):
    """TensorFlow 1.15 trained 50 steps with its own cells, saved, and went on in a new session."""
    engines = []

    def dynamic_rnn(*args, **options):
        outputs, state = rnn_cell.dynamic_rnn(*args, engine=engine, **options)
        engines.append(rnn_cell.engine_used(outputs).name)
        return outputs, state

    checkpoint = os.path.join(OF_TENSORFLOW, "program.ckpt")
    found = legacy_program.run(rnn_cell, dynamic_rnn, steps=10, restore_from=checkpoint)
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    # Dropout in training, none after it.
    assert engines == ["stepwise", auto_engine() if engine is None else "stepwise"]
    for name, costs in found.items():
        np.testing.assert_allclose(costs, golden["next/" + name], rtol=1e-5)
    assert found["perplexity after"] < found["perplexity before"] - 1 and len(found["training"]) == 10


def test_trained_from_the_start():
    found = legacy_program.run(rnn_cell, rnn_cell.dynamic_rnn, steps=50)
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    for name, costs in found.items():
        np.testing.assert_allclose(costs, golden["first/" + name], rtol=1e-4)
    assert found["perplexity after"] < 0.5 * found["perplexity before"]
