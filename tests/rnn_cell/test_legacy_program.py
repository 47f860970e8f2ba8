"""A program of 2017 restores the checkpoint of TensorFlow 1.15 and trains on, with one import changed."""

import os

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from support.engines.native_ops import auto_engine
from support.processes import legacy_program
from support.suite.paths import OF_TENSORFLOW


def with_masks_of_tensorflow(engine, engines):
    """Returns a dynamic_rnn that appends its engines to a list. The training model has TensorFlow's loop, for the masks
    that TensorFlow 1.15 drew."""

    def dynamic_rnn(*args, **options):
        is_training = "parallel_iterations" in options
        outputs, state = rnn_cell.dynamic_rnn(*args, engine="stepwise" if is_training else engine, **options)
        engines.append(rnn_cell.engine_used(outputs).name)
        return outputs, state

    return dynamic_rnn


@pytest.mark.parametrize("engine", [None, "stepwise"])
def test_restored_and_trained_on(engine):
    """TensorFlow 1.15 trained 50 steps with its own cells, saved, and trained on in a new session."""
    engines = []
    dynamic_rnn = with_masks_of_tensorflow(engine, engines)
    checkpoint = os.path.join(OF_TENSORFLOW, "program.ckpt")
    costs = legacy_program.run(rnn_cell, dynamic_rnn, steps=10, restore_from=checkpoint)
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    assert engines == ["stepwise", auto_engine() if engine is None else "stepwise"]
    for name, values in costs.items():
        np.testing.assert_allclose(values, golden["next/" + name], rtol=1e-5)
    assert costs["perplexity after"] < costs["perplexity before"] - 1 and len(costs["training"]) == 10


def test_trained_from_the_start():
    costs = legacy_program.run(rnn_cell, with_masks_of_tensorflow(None, []), steps=50)
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    for name, values in costs.items():
        np.testing.assert_allclose(values, golden["first/" + name], rtol=1e-4)
    assert costs["perplexity after"] < 0.5 * costs["perplexity before"]


def test_trained_on_an_engine():
    """As it is, the program trains on an engine, whose masks are others. It learns as well."""
    engines = []

    def dynamic_rnn(*args, **options):
        outputs, state = rnn_cell.dynamic_rnn(*args, **options)
        engines.append(rnn_cell.engine_used(outputs).name)
        return outputs, state

    costs = legacy_program.run(rnn_cell, dynamic_rnn, steps=50)
    assert engines == [auto_engine()] * 2
    golden = np.load(os.path.join(OF_TENSORFLOW, "program.npz"))
    np.testing.assert_allclose(costs["perplexity before"], golden["first/perplexity before"], rtol=1e-5)
    assert costs["perplexity after"] < 0.5 * costs["perplexity before"]
