"""What all tests share: TF1 behaviour, a fresh graph each, sessions on the CPU or on a GPU, and engines."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scripts"))
pytest.register_assert_rewrite("support")

# Read when TensorFlow first uses a GPU: programs that tests start need some of its memory, too.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

from stacked_lstm.compat import tf  # noqa: E402

os.environ.pop("STACKED_LSTM_ENGINE", None)  # Tests expect what "auto" means by itself.

tf.disable_v2_behavior()

from stacked_lstm.engines.native import library  # noqa: E402
from support import cudnn_in_numpy, sessions  # noqa: E402
from support.native_ops import NEEDS_NATIVE  # noqa: E402
from support.sets import EXHAUSTIVE, ONCE  # noqa: E402
from support.versions import OLD  # noqa: E402


def pytest_configure(config):
    sessions.quick = config.option.markexpr == "not exhaustive"


@pytest.hookimpl(tryfirst=True)  # Before pytest leaves out what is exhaustive.
def pytest_collection_modifyitems(items):
    for item in items:
        if OLD and item.get_closest_marker("once"):
            item.add_marker(EXHAUSTIVE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Builds the native engine for the first test that needs it; where it cannot be built, such tests are skipped."""
    if item.get_closest_marker("needs_native") and library.problem():
        pytest.skip(f"no native engine here: {library.problem()}")


@pytest.fixture(autouse=True)
def graph():
    """Every test builds in a graph of its own, with a fixed seed."""
    with tf.Graph().as_default() as fresh:
        tf.set_random_seed(7)
        yield fresh


@pytest.fixture(params=["control_flow_v1", "control_flow_v2"])
def control_flow(request):
    """Runs the test under both kinds of loops that TensorFlow has."""
    if request.param == "control_flow_v2":
        tf.enable_control_flow_v2()
    yield request.param
    tf.disable_control_flow_v2()


@pytest.fixture(scope="module")
def place(request):
    """Where the test runs: "cpu" or "gpu"; support/places.py has the marks that decide."""
    return sessions.prepared(getattr(request, "param", "cpu"))


ENGINES = ["graph", pytest.param("native", marks=NEEDS_NATIVE)]


@pytest.fixture(scope="module", params=ENGINES)
def general_engine(request):
    """Runs the test with every engine that takes all named activations."""
    return request.param


@pytest.fixture(scope="module", params=ENGINES + [pytest.param("cudnn", marks=ONCE)])
def engine(request):
    """Runs the test with every engine; `cudnn` on NumPy instead of a GPU."""
    return request.param


@pytest.fixture
def numpy_cudnn(place, monkeypatch):
    """NumPy in the place of cuDNN, except on a GPU."""
    if place == "cpu":
        cudnn_in_numpy.install(monkeypatch)


@pytest.fixture(autouse=True)
def cudnn_without_a_gpu(request):
    """Tests with an argument `engine` have NumPy's where that is cudnn."""
    if "engine" in request.fixturenames and request.getfixturevalue("engine") == "cudnn":
        request.getfixturevalue("numpy_cudnn")


@pytest.fixture
def session(graph, place):
    """A session as users have it."""
    with tf.device(sessions.device_on(place)), sessions.session_on(place, graph) as opened:
        yield opened


@pytest.fixture
def plain_session(graph, place):
    """For numbers that do not depend on TensorFlow's optimizer of graphs, which the quick set of tests goes without."""
    opened = sessions.plain_session(graph) if place == "cpu" else sessions.session_on(place, graph)
    with tf.device(sessions.device_on(place)), opened:
        yield opened


@pytest.fixture
def peers(place):
    """All of them; except on a GPU Keras, whose LSTM has ops without kernels for GPUs, in masks."""
    from stacked_lstm import parity
    from support.peers import PEERS

    return PEERS if place == "cpu" else parity.PEERS


@pytest.fixture
def arguments(tmp_path):
    """flag -> value of a tiny run of scripts/train.py."""
    from support import tiny_runs

    return tiny_runs.arguments_in(tmp_path)


@pytest.fixture
def title_arguments(tmp_path):
    """flag -> value of a tiny run on titles."""
    from support import tiny_runs

    return tiny_runs.title_arguments_in(tmp_path)
