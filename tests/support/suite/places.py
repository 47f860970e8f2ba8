"""Marks for tests that run on the CPU and on a GPU; the fixture `place` is "cpu" or "gpu"."""

import pytest

from stacked_lstm.compat import gpu_visible
from support.engines.native_ops import NEEDS_NATIVE
from support.suite.sets import ONCE

NEEDS_GPU = pytest.mark.skipif(not gpu_visible(), reason="no GPU: TensorFlow sees none on this machine")
GPU = [pytest.mark.gpu, NEEDS_GPU]

# On the CPU `cudnn` computes with NumPy; `native` has no kernels for GPUs.
ANYWHERE = pytest.mark.parametrize("place", ["cpu", pytest.param("gpu", marks=GPU)], indirect=True)
GENERAL_ENGINES = [("graph", "cpu"), pytest.param("native", "cpu", marks=NEEDS_NATIVE)]
GENERAL_ENGINES += [pytest.param("graph", "gpu", marks=GPU)]
EVERY_ENGINE = GENERAL_ENGINES + [pytest.param("cudnn", "cpu", marks=ONCE), pytest.param("cudnn", "gpu", marks=GPU)]
with_general_engines = pytest.mark.parametrize("general_engine, place", GENERAL_ENGINES, indirect=True)
with_every_engine = pytest.mark.parametrize("engine, place", EVERY_ENGINE, indirect=True)


def runs_on_gpus(test):
    """Whether a test has a mark with which it also runs on a GPU."""
    sets = [mark.args[1] for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    return any("gpu" in getattr(each, "values", ()) for every in sets for each in every)
