"""How `tf.train.Saver` saves and restores the weights of a `CudnnLSTM` as those of `CudnnCompatibleLSTMCell`s."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm.compat import SaveableObject, SaveSpec, tf
from stacked_lstm.rnn_cell.cudnn import cudnn_parameters
from stacked_lstm.rnn_cell.cudnn.cudnn_parameters import Shapes

# Number of directions -> their scopes in the scope of layer k.
_SCOPES = {
    1: ["rnn/multi_rnn_cell/cell_{}/"],
    2: [f"stack_bidirectional_rnn/cell_{{}}/bidirectional_rnn/{direction}/" for direction in ("fw", "bw")],
}


class CudnnLSTMSaveable(SaveableObject):
    """The kernels and biases in the variable of a `CudnnLSTM`, under the names of cells in the loops of `rnn_cell`."""

    def __init__(self, variable: tf.Variable, shapes: Shapes, scope: str) -> None:
        """Initializes the object.

        Args:
          variable: the vector of all weights, see `cudnn_parameters`.
          shapes: `Shapes` of the network.
          scope: str, the name of the variable scope of the equivalent cells, "" for none.
        """
        self._variable = variable
        self._shapes = shapes
        tensors = [tensor for part in cudnn_parameters.unpack(variable, shapes) for tensor in part]
        specs = [SaveSpec(tensor, "", name) for tensor, name in zip(tensors, _names(shapes, scope))]
        super().__init__(tf.identity(variable), specs, f"{variable.op.name}_saveable")

    def restore(self, restored_tensors: Sequence[tf.Tensor], restored_shapes: Any) -> tf.Operation:
        """Returns the op that assigns the weights in a checkpoint to the variable.

        A checkpoint with the variable itself may be from a GPU whose cuDNN has another order. The kernels and biases
        are right in any case, so they are assigned last.
        """
        del restored_shapes
        count = len(restored_tensors) // 2
        params = cudnn_parameters.pack(restored_tensors[:count], restored_tensors[count:], self._shapes)
        with tf.control_dependencies(_restores_in_this_scope(self._variable)):
            return self._variable.assign(params)


def _names(shapes: Shapes, scope: str) -> list[str]:
    """Returns the names of all kernels, then those of all biases."""
    prefix = scope + "/" if scope else ""
    scopes = [path.format(k) for k in range(shapes.num_layers) for path in _SCOPES[shapes.num_dirs]]
    return [f"{prefix}{path}cudnn_compatible_lstm_cell/{name}" for name in ("kernel", "bias") for path in scopes]


def _restores_in_this_scope(variable: tf.Variable) -> list[tf.Operation]:
    """Returns the ops with which a Saver, within whose scope this is called, restores the variable itself."""
    scope = tf.get_default_graph().get_name_scope() + "/"
    readers = variable.op.outputs[0].consumers()
    return [op for op in readers if op.name.startswith(scope) and op.type in ("Assign", "AssignVariableOp")]
