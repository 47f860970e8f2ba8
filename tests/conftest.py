"""Fixtures of all tests: TF1 behaviour, a new graph for each test, sessions on the CPU or a GPU, and engines."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scripts"))
pytest.register_assert_rewrite("support")

# TensorFlow reads it when it first uses a GPU. Programs that tests start need some of the memory.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

from stacked_lstm import compat  # noqa: E402
from stacked_lstm.compat import tf  # noqa: E402

os.environ.pop("STACKED_LSTM_ENGINE", None)  # Tests expect the default meaning of "auto".

tf.disable_v2_behavior()

from stacked_lstm.engines.cudnn import library as cudnn_library  # noqa: E402
from stacked_lstm.engines.native import library  # noqa: E402
from support.engines.native_ops import NEEDS_NATIVE  # noqa: E402
from support.references import cudnn_in_numpy  # noqa: E402
from support.suite import memory, sessions  # noqa: E402
from support.suite.sets import EXHAUSTIVE, ONCE  # noqa: E402
from support.suite.versions import OLD  # noqa: E402


def pytest_configure(config):
    sessions.quick = config.option.markexpr == "not exhaustive"


@pytest.hookimpl(tryfirst=True)  # Before pytest deselects exhaustive tests.
def pytest_collection_modifyitems(items):
    for item in items:
        if OLD and item.get_closest_marker("once"):
            item.add_marker(EXHAUSTIVE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Builds the native engine for the first test that needs it. If that fails, such tests are skipped."""
    if item.get_closest_marker("needs_native") and library.problem():
        pytest.skip(f"no native engine here: {library.problem()}")


def pytest_collection_finish():
    memory.configure_collector()


@pytest.fixture(autouse=True)
def graph():
    """Every test has its own default graph, with a fixed seed."""
    with tf.Graph().as_default() as new_graph:
        tf.set_random_seed(7)
        yield new_graph


@pytest.fixture(params=["control_flow_v1", "control_flow_v2"])
def control_flow(request):
    """Runs the test under both control flows of TensorFlow."""
    if request.param == "control_flow_v2":
        tf.enable_control_flow_v2()
    yield request.param
    tf.disable_control_flow_v2()


@pytest.fixture(scope="module")
def place(request):
    """Where the test runs, "cpu" or "gpu". The marks in support/suite/places.py decide."""
    return sessions.prepare(getattr(request, "param", "cpu"))


ENGINES = ["graph", pytest.param("native", marks=NEEDS_NATIVE)]


@pytest.fixture(scope="module", params=ENGINES)
def general_engine(request):
    """Runs the test with every engine that supports all named activations."""
    return request.param


@pytest.fixture(scope="module", params=ENGINES + [pytest.param("cudnn", marks=ONCE)])
def engine(request):
    """Runs the test with every engine. `cudnn` computes with NumPy."""
    return request.param


@pytest.fixture
def numpy_cudnn(place, monkeypatch):
    """Replaces cuDNN by NumPy, except on a GPU."""
    if place == "cpu":
        cudnn_in_numpy.install(monkeypatch)


@pytest.fixture
def host_cudnn(place, no_compiled_op_without_a_gpu, monkeypatch):
    """Runs the compiled op for cuDNN on the CPU, except on a GPU; see support/engines/cudnn_on_host.py."""
    from support.engines import cudnn_on_host

    return cudnn_on_host.install(monkeypatch) if place == "cpu" else None


@pytest.fixture(autouse=True)
def no_compiled_op_without_a_gpu(monkeypatch):
    """Without a GPU, the real op for cuDNN is not built, also if a test makes TensorFlow see GPUs."""
    if not compat.gpu_visible():
        monkeypatch.setattr(cudnn_library, "problem", lambda: "there is no GPU in these tests")


@pytest.fixture(autouse=True)
def cudnn_without_a_gpu(request):
    """Replaces cuDNN by NumPy in tests whose argument `engine` is cudnn."""
    if "engine" in request.fixturenames and request.getfixturevalue("engine") == "cudnn":
        request.getfixturevalue("numpy_cudnn")


@pytest.fixture
def session(graph, place):
    """A session as users have it."""
    with tf.device(sessions.device_on(place)), sessions.session_on(place, graph) as session:
        yield session


@pytest.fixture
def plain_session(graph, place):
    """A session for numbers that do not depend on TensorFlow's graph optimizer, which the quick tests disable."""
    session = sessions.plain_session(graph) if place == "cpu" else sessions.session_on(place, graph)
    with tf.device(sessions.device_on(place)), session:
        yield session


@pytest.fixture
def peers(place):
    """All peers; on a GPU without Keras, because the masks of its LSTM have ops without kernels for GPUs."""
    from stacked_lstm import parity
    from support.references.peers import PEERS

    return PEERS if place == "cpu" else parity.PEERS


@pytest.fixture
def arguments(tmp_path):
    """flag -> value of a tiny run of scripts/train.py."""
    from support.training import tiny_runs

    return tiny_runs.arguments_in(tmp_path)


@pytest.fixture
def title_arguments(tmp_path):
    """flag -> value of a tiny run on titles."""
    from support.training import tiny_runs

    return tiny_runs.title_arguments_in(tmp_path)
