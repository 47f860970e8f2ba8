"""The stacked LSTM in float64 NumPy, forward and backward. The tests compare the engines with it.

It computes the equations in `numpy_lstm.equations`, one gate and one step at a time. It shares no code with the
engines. `numpy_lstm.option_equations` has the equations of layers with dropout, zoneout,
layer normalization, residual connections, projections, peepholes or clips. `numpy_lstm.head` adds a softmax head,
`numpy_lstm.initial_state` projected initial states. The functions of these modules are in this one, too.

    outputs, state, cache = numpy_lstm.forward(layers, x, sequence_length=[7, 4])
    gradients = numpy_lstm.backward(d_outputs, d_state, cache)
    gradients["layers"][0]["Wf"]          # shaped as layers[0]["Wf"]
"""

from __future__ import annotations

from stacked_lstm.numpy_lstm.activations import ACTIVATIONS, sigmoid
from stacked_lstm.numpy_lstm.equations import GATES, step, step_backward
from stacked_lstm.numpy_lstm.head import cross_entropy, head_backward, head_forward, softmax
from stacked_lstm.numpy_lstm.initial_state import projected_backward, projected_forward
from stacked_lstm.numpy_lstm.layer_options import LayerOptions
from stacked_lstm.numpy_lstm.stack import backward, forward, steps

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "LayerOptions",
    "backward",
    "cross_entropy",
    "forward",
    "head_backward",
    "head_forward",
    "projected_backward",
    "projected_forward",
    "sigmoid",
    "softmax",
    "step",
    "step_backward",
    "steps",
]
