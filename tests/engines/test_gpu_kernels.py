"""Every op that is placed on a GPU has a kernel for GPUs. These tests run without a GPU."""

import pytest

from stacked_lstm import StackedLSTM, parity
from stacked_lstm.compat import tf
from support.engines import gpu_kernels

NEEDS_KERNELS = pytest.mark.skipif(
    not gpu_kernels.REGISTERED, reason="this package of TensorFlow has no kernels for GPUs"
)


def gpu_ops(graph):
    return [op for op in graph.get_operations() if "GPU" in op.device]


CASES = [("graph", "float32", "control_flow_v1"), ("graph", "float16", "control_flow_v2")]
CASES += [("cudnn", dtype, "control_flow_v1") for dtype in ("float16", "float32", "float64")]


@NEEDS_KERNELS
@pytest.mark.parametrize("name, dtype, control_flow", CASES, indirect=["control_flow"])
def test_every_op_has_a_kernel(name, dtype, control_flow, graph):
    """Forward, backward and training with lengths; with the ops of cuDNN, not those in NumPy."""
    with tf.device("/GPU:0"):
        setup = parity.Setup([4, 4, 5], 3, 1, "projected", lengths=True, dtype=dtype, engine=name)
        comparison = parity.Comparison(setup, peers={"numpy": parity.PEERS["numpy"]})
    ops = gpu_ops(graph)
    assert comparison.lstm.engine_used.name == name and gpu_kernels.missing(ops) == []
    assert {"graph": "MatMul", "cudnn": "CudnnRNNBackpropV3"}[name] in {op.type for op in ops}


@NEEDS_KERNELS
def test_an_op_without_a_kernel_is_found(graph):
    """Strings have no kernels for GPUs."""
    with tf.device("/GPU:0"):
        tf.constant("text")
        StackedLSTM([2], engine="cudnn", name="ours")(tf.zeros([1, 1, 1]))
    assert [line.split()[-1] for line in gpu_kernels.missing(gpu_ops(graph))] == ["Const"]
