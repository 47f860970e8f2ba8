"""Programs in the style of 2017 (tests/support/processes/old_programs), moved by the command, on every engine.

The numbers are losses of training and scores. TensorFlow 1.15.5 printed them for the programs as they are, except for
speech.py, which needs a GPU there.
"""

import os

import numpy as np
import pytest

from stacked_lstm import engines
from stacked_lstm.compat import tf
from support.suite.sets import ONCE

pytest.importorskip("libcst")
from stacked_lstm.commands import old_program  # noqa: E402

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(TESTS, "support", "processes", "old_programs")

RESULTS = {
    "char_rnn": [3.3228576, 3.168915, 3.3332233, 3.2789512, 3.0694497, 3.0342412]
    + [0.0618042, 0.0707797, 0.0858922, 0.1012827, 0.1125572],
    "tagger": [7.4592376, 7.0503349, 6.7506156, 6.5310168, 6.3686509, 6.2458797]
    + [1.9440572, 0.9168457, 1.330317, 0.2478463, 2.4301851, 1.5559313],
    "language_model": [2.9890862, 2.9236023, 2.846566, 2.7740614, 2.7188721, 2.6792326, 2.6517081, 2.6326089],
}


def run(name, engine, monkeypatch):
    """The list `results` of a moved program."""
    monkeypatch.setenv(engines.ENVIRONMENT_VARIABLE, engine)
    path = os.path.join(FOLDER, name + ".py")
    with open(path, "rb") as file:
        moved = old_program.move(file.read())
    names = {"__name__": "__main__"}
    exec(compile(moved, path, "exec"), names)
    return names["results"]


@ONCE
@pytest.mark.parametrize("name", sorted(RESULTS))
@pytest.mark.parametrize("engine", ["auto", "graph", "stepwise"])
def test_results_are_those_of_tensorflow_1_15(name, engine, monkeypatch):
    np.testing.assert_allclose(run(name, engine, monkeypatch), RESULTS[name], rtol=2e-5)


@ONCE
def test_speech_program(monkeypatch):
    """It trains CudnnLSTM on a CPU, and restores the checkpoint in compatible cells."""
    results = {}
    for engine in ("auto", "graph", "stepwise"):
        with tf.Graph().as_default():
            results[engine] = run("speech", engine, monkeypatch)
        assert results[engine][5] < results[engine][0] and results[engine][-1] < 1e-6
    np.testing.assert_allclose(results["auto"][:-1], results["graph"][:-1], rtol=1e-4)
    np.testing.assert_allclose(results["auto"][:-1], results["stepwise"][:-1], rtol=1e-4)
