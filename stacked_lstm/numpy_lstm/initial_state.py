"""The projected initial states of `numpy_lstm`, forward and backward, in float64 NumPy.

x_1 is the first step of the input. p stands for h and V for W_h, or p for c and V for W_c. Layer 1 starts from
p_1 = tanh(x_1 V_1), layer l from

    p_l = tanh(p_(l-1) V_l)

Backward, dv is the gradient of the loss in v, shaped as v. dp_l is the sum of two gradients: `backward` returns one for
the initial state, and layer l + 1 returns one for the p_l below it. The slope of tanh is 1 - p_l^2, so

    a = dp_l * (1 - p_l^2)      dV_l = p_(l-1)^T a      dp_(l-1) = a V_l^T

For layer 1, p_0 is x_1: dx_1 is the sum of what h and c return.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm.numpy_lstm import checks
from stacked_lstm.state import LSTMState


class ProjectionCache(NamedTuple):
    """What `projected_backward` needs of one layer: its matrices, the state below, and its state."""

    layer: dict[str, np.ndarray]
    below: LSTMState
    state: LSTMState


def projected_forward(
    projections: Sequence[Mapping[str, Any]], x: Any
) -> tuple[list[LSTMState], list[ProjectionCache]]:
    """Projects initial states from the first step of an input.

    h_1 = tanh(x W_h), and each further layer's h is tanh(h_(l-1) W_h). c is computed in the same way with W_c.

    Args:
      projections: a mapping per layer, from the input upwards, with arrays W_c and W_h: [I, H_1] each for the first
        layer, [H_(l-1), H_l] for layer l.
      x: [B, I], the first time step; zeros for sequences of length 0.

    Returns:
      (list of `LSTMState` per layer, c and h [B, H_l] each; cache for `projected_backward`), in float64.

    Raises:
      ValueError: W_c or W_h is missing, or shapes do not fit.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> projections = [{"W_c": np.eye(2, 3), "W_h": np.zeros([2, 3])}, {"W_c": np.eye(3), "W_h": np.eye(3)}]
      >>> states, cache = numpy_lstm.projected_forward(projections, np.ones([1, 2]))
      >>> print(states[0].c.round(2), states[1].c.round(2))  # tanh(1), tanh(tanh(1))
      [[0.76 0.76 0.  ]] [[0.64 0.64 0.  ]]
    """
    x = np.asarray(x, np.float64)
    below, states, cache = LSTMState(x, x), [], []
    for layer in checks.projections(projections, x.shape, "projected_forward"):
        state = LSTMState(np.tanh(below.c @ layer["W_c"]), np.tanh(below.h @ layer["W_h"]))
        states.append(state)
        cache.append(ProjectionCache(layer, below, state))
        below = state
    return states, cache


def projected_backward(d_states: Any, cache: list[ProjectionCache]) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Computes the gradient of `projected_forward`.

    Args:
      d_states: gradients of the states, a pair (c, h) per layer, [B, H_l] each: "initial_state" in the result of
        `backward`.
      cache: the cache that `projected_forward` returned.

    Returns:
      (gradients of the projections, a list of dictionaries; gradient of x, [B, I]). The gradient of x adds to the
      first step of the one that `backward` returns.

    Raises:
      ValueError: the shapes are not those of the states.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> projections, x = [{"W_c": np.full([2, 3], 0.5), "W_h": np.ones([2, 3])}], np.ones([4, 2])
      >>> states, cache = numpy_lstm.projected_forward(projections, x)
      >>> gradients, d_x = numpy_lstm.projected_backward(states, cache)  # of the loss sum(c ** 2 + h ** 2) / 2
      >>> def loss(change):
      ...     (c, h), = numpy_lstm.projected_forward(projections, x + change)[0]
      ...     return np.sum(c**2 + h**2) / 2
      >>> print(abs(np.sum(d_x) - (loss(1e-5) - loss(-1e-5)) / 2e-5) < 1e-8)
      True
    """
    d_states = checks.pairs(
        d_states, [LSTMState(*[p.shape for p in layer.state]) for layer in cache], "projected_backward", "d_states"
    )
    gradients: list[dict[str, np.ndarray]] = []
    d_c, d_h = np.zeros([]), np.zeros([])  # What the layer above returned.
    for (layer, below, state), d_state in reversed(list(zip(cache, d_states))):
        a_c, a_h = (d_state.c + d_c) * (1 - state.c**2), (d_state.h + d_h) * (1 - state.h**2)
        gradients.insert(0, {"W_c": below.c.T @ a_c, "W_h": below.h.T @ a_h})
        d_c, d_h = a_c @ layer["W_c"].T, a_h @ layer["W_h"].T
    return gradients, d_c + d_h
