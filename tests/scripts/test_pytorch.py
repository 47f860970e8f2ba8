"""scripts/peers/pytorch.py and pytorch_network.py: the numbers of PyTorch's LSTM, and the errors if it is missing."""

import importlib.util
import sys
import types

import numpy as np
import pytest

from peers import pytorch, pytorch_network
from stacked_lstm import parity, tf32
from stacked_lstm.compat import cuda_version, tf
from support.references import numeric
from support.suite.sets import LAYOUTS
from support.suite.versions import NEEDS_BFLOAT16

NEEDS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no torch here: pip install torch")
PEERS = {"numpy": parity.PEERS["numpy"], "pytorch": pytorch_network.PytorchNetwork}  # Others have tests of their own.


def compared(setup, session, learning_rate=None):
    """A `Comparison` of all `PEERS`, ready to run; with one engine, because engines have their own tests."""
    comparison = parity.Comparison(setup._replace(engine="graph"), PEERS, learning_rate)
    session.run(tf.global_variables_initializer())
    comparison.start(session)
    return comparison


def check_numbers(comparison, session, batch, tolerance):
    """Compares PyTorch's numbers with NumPy's, each name and each number."""
    computed, expected = (comparison.networks[name].compute(session, batch) for name in ("pytorch", "numpy"))
    numeric.check_same(computed, expected, tolerance)


@NEEDS_TORCH
@pytest.mark.parametrize("initial_state, lengths, time_major", LAYOUTS)
def test_numbers(initial_state, lengths, time_major, plain_session):
    """Two layers of one width, which are one module, and one of another width; before and after training."""
    setup = parity.Setup([4, 4, 3], 5, 2, initial_state, lengths, time_major, "float64")
    comparison = compared(setup, plain_session, learning_rate=0.1)
    batches = [parity.random_batch(setup, 5, 7, seed) for seed in range(4)]
    check_numbers(comparison, plain_session, batches[0], 1e-12)
    losses = parity.train(comparison, plain_session, batches)
    assert list(comparison.networks)[-1] == "pytorch"
    np.testing.assert_allclose(losses[:, -1], losses[:, 0], rtol=1e-12, atol=0)
    check_numbers(comparison, plain_session, batches[0], 1e-12)  # Each variable has moved as NumPy's has.
    before = comparison.networks["pytorch"].compute(plain_session, batches[1])["outputs"]
    comparison.networks["pytorch"].infer(plain_session, batches[1])
    assert np.all(before == comparison.networks["pytorch"].compute(plain_session, batches[1])["outputs"])


@NEEDS_TORCH
@pytest.mark.parametrize("lengths", [[3, 1, 0], [0, 0, 0], [7, 7, 7]])
def test_lengths(lengths, session):
    """Also if no sequence has all steps, or none has any."""
    setup = parity.Setup([4, 4], 5, 2, "projected", lengths=True, dtype="float64")
    batch = parity.random_batch(setup, 3, 7, seed=1)._replace(lengths=np.array(lengths, np.int32))
    check_numbers(compared(setup, session), session, batch, 1e-12)


@NEEDS_TORCH
@pytest.mark.parametrize("dtype", ["float32", "float16", pytest.param("bfloat16", marks=NEEDS_BFLOAT16)])
def test_dtypes(dtype, session):
    setup = parity.Setup([6, 6, 4], 5, initial_state="learned", lengths=True, dtype=dtype)
    batch = parity.random_batch(setup, 5, 7, seed=1)
    comparison = compared(setup, session)
    check_numbers(comparison, session, batch, parity.TOLERANCES[dtype])
    assert parity.exceeded(parity.differences(comparison, session, batch, dtype)) == []


@NEEDS_TORCH
def test_without_gradients_of_states(session):
    setup = parity.Setup([4, 4], 5, dtype="float64", use_states=False)
    check_numbers(compared(setup, session), session, parity.random_batch(setup, 3, 5, seed=1), 1e-12)


@pytest.mark.gpu
@NEEDS_TORCH
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_on_a_gpu(dtype, monkeypatch):
    """As on a CPU; training and inference end when the GPU does."""
    try:
        with tf.device("/GPU:0"):
            torch, _ = pytorch_network.torch_beside_new_ops()
    except parity.PeerMissingError as error:
        pytest.skip(str(error))
    waits, synchronize = [], torch.cuda.synchronize
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *where: waits.append(synchronize(*where)))
    setup = parity.Setup([8, 8, 6], 5, 2, "projected", lengths=True, dtype=dtype)
    batch = parity.random_batch(setup, 5, 7, seed=1)
    config = tf.ConfigProto(allow_soft_placement=True, gpu_options=tf.GPUOptions(allow_growth=True))
    with tf.device("/GPU:0"), tf.Session(config=config) as session:
        comparison = compared(setup, session, learning_rate=0.1)
        network = comparison.networks["pytorch"]
        assert network.source.endswith(f" on {torch.cuda.get_device_name()}")
        check_numbers(comparison, session, batch, parity.TOLERANCES[dtype])
        assert waits == []
        losses = parity.train(comparison, session, [batch] * 3)
        network.infer(session, batch)
        assert len(waits) == 4
        assert np.all(parity.loss_differences(losses) < parity.LOSS_TOLERANCES[dtype])


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for torch that sees a GPU and records what it is told."""
    module, switches = types.ModuleType("torch"), types.SimpleNamespace
    module.__version__, module.waits = "0.0", []  # The devices that were waited for.
    module.version = switches(cuda=cuda_version() or "0.0")
    module.cuda = switches(is_available=lambda: True, synchronize=module.waits.append)
    module.backends = switches(
        cudnn=switches(allow_tf32="as it was"), cuda=switches(matmul=switches(allow_tf32="as it was"))
    )
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def test_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    message = r"^--peer=pytorch needs the package torch \(.*\): pip install torch$"
    with pytest.raises(ImportError, match=message):
        pytorch.pytorch()
    with pytest.raises(parity.PeerMissingError, match=message):
        pytorch_network.network()


@pytest.mark.parametrize(
    "device, where", [(None, "cpu"), ("/CPU:0", "cpu"), ("/GPU:0", "cuda:0"), ("/GPU:1", "cuda:1")]
)
def test_device_of_new_ops(device, where, stand_in):
    with tf.device(device):
        assert pytorch_network.torch_beside_new_ops() == (stand_in, where)


@pytest.mark.parametrize("device", ["/CPU:0", "/GPU:0"])
def test_another_cuda(device, stand_in, monkeypatch):
    """Two versions of CUDA would end the process; on the CPU nothing of CUDA is used."""
    monkeypatch.setattr(pytorch_network, "cuda_version", lambda: "12.5.1")
    stand_in.version.cuda = "12.8"
    with tf.device(device):
        assert pytorch_network.torch_beside_new_ops()[0] is stand_in
        stand_in.version.cuda = "13.0"
        if device == "/CPU:0":
            assert pytorch_network.torch_beside_new_ops()[0] is stand_in
        else:
            with pytest.raises(
                parity.PeerMissingError, match="--peer=pytorch needs a torch for CUDA 12.5.1, .* CUDA 13.0"
            ):
                pytorch_network.torch_beside_new_ops()


def test_no_gpu(stand_in):
    stand_in.cuda.is_available = lambda: False
    assert pytorch.pytorch("CPU") is stand_in
    with pytest.raises(ImportError, match="needs a torch that sees the GPU, and torch 0.0 sees none"):
        pytorch.pytorch("GPU")


@pytest.mark.parametrize("environment, allowed", [("", False), ("0", False), ("1", True)])
def test_tf32(environment, allowed, stand_in, monkeypatch):
    monkeypatch.setenv(tf32.ENVIRONMENT_VARIABLE, environment)
    pytorch.pytorch("GPU")
    assert stand_in.backends.cudnn.allow_tf32 is stand_in.backends.cuda.matmul.allow_tf32 is allowed


def test_wait(stand_in):
    pytorch.wait(stand_in, "cpu")
    assert stand_in.waits == []
    pytorch.wait(stand_in, "cuda:1")
    assert stand_in.waits == ["cuda:1"]
