"""Where a test runs: on the CPU, and on a GPU once more."""

import pytest

from stacked_lstm.compat import gpu_visible, set_tensor_float_32, tf
from support.native_ops import NEEDS_NATIVE
from support.sets import ONCE

NEEDS_GPU = pytest.mark.skipif(not gpu_visible(), reason="no GPU: TensorFlow sees none on this machine")
GPU = [pytest.mark.gpu, NEEDS_GPU]

# Marks of tests. On the CPU `cudnn` computes with NumPy; `native` has no kernels for GPUs.
ANYWHERE = pytest.mark.parametrize("place", ["cpu", pytest.param("gpu", marks=GPU)], indirect=True)
GENERAL_ENGINES = [("graph", "cpu"), pytest.param("native", "cpu", marks=NEEDS_NATIVE)]
GENERAL_ENGINES += [pytest.param("graph", "gpu", marks=GPU)]
EVERY_ENGINE = GENERAL_ENGINES + [pytest.param("cudnn", "cpu", marks=ONCE), pytest.param("cudnn", "gpu", marks=GPU)]
with_general_engines = pytest.mark.parametrize("general_engine, place", GENERAL_ENGINES, indirect=True)
with_every_engine = pytest.mark.parametrize("engine, place", EVERY_ENGINE, indirect=True)


def prepared(place):
    """A place where float32 is float32."""
    if place == "gpu":
        set_tensor_float_32(False)
    return place


optimizer = [True]  # Whether TensorFlow's optimizer of graphs is on in plain sessions; conftest.py says so.


def plain_session(graph=None):
    """A session on the CPU; without the optimizer in the quick set of tests, where it takes as long as all else."""
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = not optimizer[0]
    return tf.Session(graph=graph, config=config)


def session_on(place, graph):
    """A session as users have it; on a GPU without soft placement: an op that cannot run there is an error."""
    if place == "cpu":
        return tf.Session(graph=graph)
    config = tf.ConfigProto(allow_soft_placement=False, gpu_options=tf.GPUOptions(allow_growth=True))
    return tf.Session(graph=graph, config=config)


def device_on(place):
    """All on the GPU except strings, for which TensorFlow has nothing there: dynamic_rnn does not see to its own."""

    def device(op):
        strings = any(tensor.dtype.base_dtype == tf.string for tensor in op.outputs)
        return "/device:CPU:0" if strings else "/GPU:0"

    return None if place == "cpu" else device


def runs_on_gpus(test):
    """Whether a function has a mark that has it run on a GPU, too."""
    sets = [mark.args[1] for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    return any("gpu" in getattr(each, "values", ()) for every in sets for each in every)
