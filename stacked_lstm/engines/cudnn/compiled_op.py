"""The op StackedLstmCudnn of this package, which chooses cuDNN's fastest algorithm; see op_definitions.cc and choice.h.

The op is compiled at its first use. It takes sequences that have all steps. The environment variable
STACKED_LSTM_CUDNN_ALGORITHM names a member of `ALGORITHMS`. If several algorithms are left, each of them runs on the
first batch of a size, and the fastest one is kept.
"""

from __future__ import annotations

import os
from typing import Sequence

from stacked_lstm import checks, compat, tf32
from stacked_lstm.compat import tf
from stacked_lstm.engines.cudnn import derivatives, library
from stacked_lstm.engines.cudnn.group import Group
from stacked_lstm.engines.cudnn.scope import SCOPE
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState

ENVIRONMENT_VARIABLE = "STACKED_LSTM_CUDNN_ALGORITHM"
ACCURATE = "accurate"  # Float32 results agree with other devices to 1e-5; float16 and TF32 allow every algorithm.
FASTEST = "fastest"
TENSORFLOW = "tensorflow"  # TensorFlow's op, which has the standard algorithm.
_NAMES = ("standard", "persistent_few_units", "persistent_dynamic", "persistent_static")  # Those of choice.cc.
ALGORITHMS = (ACCURATE, FASTEST, *_NAMES, TENSORFLOW)


def algorithm() -> str:
    """Returns the member of `ALGORITHMS` that the environment names.

    Raises:
      ValueError: STACKED_LSTM_CUDNN_ALGORITHM has another value.
    """
    name = os.environ.get(ENVIRONMENT_VARIABLE) or ACCURATE
    return checks.one_of(ALGORITHMS, name, "cudnn", ENVIRONMENT_VARIABLE)


def may_be_persistent(layers: Sequence[Layer]) -> bool:
    """Whether the op may run the layers with a persistent algorithm, by the rules of `FindAlgorithms` in choice.cc."""
    name, dtypes = algorithm(), {layer.dtype.name for layer in layers}
    if name in ("standard", TENSORFLOW) or "float64" in dtypes:
        return False
    if any(layer.extras.projection is not None for layer in layers):
        return False
    has_tf32 = tf32.asked_for() and compat.tensor_float_32()
    return name != ACCURATE or "float16" in dtypes or has_tf32


def run(groups: Sequence[Group], x: tf.Tensor) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs groups one after the other on sequences that have all steps; see `Engine.run_layers`."""
    finals = []
    for group in groups:
        h, c = group.stacked_states()
        with tf.name_scope(SCOPE):
            x, h, c, _ = library.load().stacked_lstm_cudnn(
                x=x,
                h=h,
                c=c,
                weights=group.weights(),
                algorithm=algorithm(),
                allow_tf32=compat.tensor_float_32(),
                direction=group.direction,
            )
        finals += group.unstack(h, c)
    return x, finals


@tf.RegisterGradient("StackedLstmCudnn")
def _gradient(op: tf.Operation, *d_results: tf.Tensor) -> list:
    attributes = {name: op.get_attr(name).decode() for name in ("algorithm", "direction")}
    attributes["allow_tf32"] = op.get_attr("allow_tf32")
    with derivatives.place_of(op):
        results = op.outputs
        if op.graph.building_function:  # The space would be a result of the function.
            results = library.load().stacked_lstm_cudnn(*op.inputs, **attributes)
        outputs, _, _, reserve_space = results
        gradients = library.load().stacked_lstm_cudnn_grad(
            *op.inputs, outputs, *d_results[:3], reserve_space, **attributes
        )
    return list(gradients)


@tf.RegisterGradient("StackedLstmCudnnGrad")
def _second_gradient(op: tf.Operation, *d_results: tf.Tensor) -> list:
    primals, upstream, direction = op.inputs[:4], op.inputs[5:8], op.get_attr("direction").decode()
    d_primals, d_upstream = derivatives.second(primals, upstream, d_results, direction)
    return d_primals + [None] + d_upstream + [None]
