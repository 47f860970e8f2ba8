"""A program of 2017 restores the checkpoint of TensorFlow 1.15 and trains on, with one import changed."""

import os

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from support import legacy_program
from support.native_ops import auto_engine
from support.paths import OF_TENSORFLOW


@pytest.mark.parametrize("engine", [None, "stepwise"])
def test_restored_and_trained_on(engine):
    """TensorFlow 1.15 trained 50 steps with its own cells, saved, and trained on in a new session."""
    engines = []

    def dynamic_rnn(*args, **options):
        outputs, state = rnn_cell.dynamic_rnn(*args, engine=engine, **options)
        engines.append(rnn_cell.engine_used(outputs).name)
        return outputs, state

    checkpoint = os.path.join(OF_TENSORFLOW, "program.ckpt")
    costs = legacy_program.run(rnn_cell, dynamic_rnn, steps=10, restore_from=checkpoint)
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    # The training model has dropout, the evaluation model does not.
    assert engines == ["stepwise", auto_engine() if engine is None else "stepwise"]
    for name, values in costs.items():
        np.testing.assert_allclose(values, golden["next/" + name], rtol=1e-5)
    assert costs["perplexity after"] < costs["perplexity before"] - 1 and len(costs["training"]) == 10


def test_trained_from_the_start():
    costs = legacy_program.run(rnn_cell, rnn_cell.dynamic_rnn, steps=50)
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    for name, values in costs.items():
        np.testing.assert_allclose(values, golden["first/" + name], rtol=1e-4)
    assert costs["perplexity after"] < 0.5 * costs["perplexity before"]
