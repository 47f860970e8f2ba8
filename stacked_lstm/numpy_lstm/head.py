"""The softmax head of `numpy_lstm` and its cross-entropy, forward and backward, in float64 NumPy.

A head maps the hidden state of each step to Y probabilities: a dense layer, then softmax.

    (1)  z = h Wy + by                      h [..., H], Wy [H, Y], by [Y], z [..., Y]
    (2)  y_k = exp(z_k) / sum_j exp(z_j)

Backward, dv is the gradient of the loss in v, shaped as v. The slope of y_k in z_j is y_k ([k = j] - y_j), where
[k = j] is 1 if k = j, else 0. Therefore

    (2)  dz_j = sum_k dy_k y_k ([k = j] - y_j) = y_j (dy_j - sum_k dy_k y_k)
    (1)  dWy = sum over predictions of h^T dz      dby = sum over predictions of dz      dh = dz Wy^T

The cross-entropy of a label l is -log y_l. Its slope is dy_k = -[k = l] / y_k. In dz the division by y_l, which may
underflow to 0, cancels:

    dz_k = y_k - [k = l]
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np

from stacked_lstm.numpy_lstm import checks


class HeadCache(NamedTuple):
    """What `head_backward` and `cross_entropy` need from `head_forward`: the head, h, and z and y of the equations."""

    head: dict[str, np.ndarray]
    h: np.ndarray
    z: np.ndarray
    y: np.ndarray


def softmax(z: np.ndarray) -> np.ndarray:
    """Returns exp(z_k) / sum_j exp(z_j) over the last axis.

    Numerator and denominator are multiplied by exp(-max z), which keeps them from overflowing.

    Args:
      z: [..., Y].

    Returns:
      [..., Y]; its last axis sums to 1.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> print(numpy_lstm.softmax(np.array([[0.0, np.log(3)], [1000.0, 1000.0]])))
      [[0.25 0.75]
       [0.5  0.5 ]]
    """
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def head_forward(head: Mapping[str, Any], h: Any) -> tuple[np.ndarray, HeadCache]:
    """Computes the probabilities y = softmax(h Wy + by) of every step.

    Args:
      head: mapping with arrays Wy [H, Y] and by [Y].
      h: [..., H], for example the outputs of `forward`. They are zero past the end of a sequence, so there y is
        softmax(by).

    Returns:
      (y [..., Y], cache for `head_backward` and `cross_entropy`), in float64.

    Raises:
      ValueError: Wy or by is missing, or shapes do not fit.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> head = {"Wy": np.zeros([3, 2]), "by": np.log([1.0, 3.0])}
      >>> y, cache = numpy_lstm.head_forward(head, np.ones([5, 4, 3]))
      >>> print(y.shape, y[0, 0])
      (5, 4, 2) [0.25 0.75]
    """
    h = np.asarray(h, np.float64)
    head = checks.head(head, h.shape, "head_forward")
    z = h @ head["Wy"] + head["by"]
    y = softmax(z)
    return y, HeadCache(head, h, z, y)


def head_backward(d_y: Any, cache: HeadCache) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Computes the gradient of `head_forward`.

    Args:
      d_y: gradient of the probabilities, [..., Y]. It also counts past the end of a sequence, so it should be zero
        there.
      cache: the cache that `head_forward` returned.

    Returns:
      (gradients of the head, a dictionary with Wy [H, Y] and by [Y]; gradient of h, [..., H]).

    Raises:
      ValueError: `d_y` has another shape than the probabilities.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> head, h = {"Wy": np.eye(3, 2), "by": np.zeros(2)}, np.ones([5, 4, 3])
      >>> y, cache = numpy_lstm.head_forward(head, h)
      >>> d_head, d_h = numpy_lstm.head_backward(y, cache)  # of the loss sum(y ** 2) / 2
      >>> print(d_head["Wy"].shape, d_head["by"].shape, d_h.shape)
      (3, 2) (2,) (5, 4, 3)
    """
    d_y = checks.shaped(d_y, cache.y.shape, "head_backward", "d_y")
    return _dense_backward(cache, cache.y * (d_y - np.sum(d_y * cache.y, axis=-1, keepdims=True)))


def cross_entropy(
    labels: Any, cache: HeadCache, counted: Any = None
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Computes the mean cross-entropy of the head's predictions, and its gradient.

    Both are finite even if the probability of a label underflows to 0.

    Args:
      labels: integers [...], from 0 to Y - 1.
      cache: the cache that `head_forward` returned.
      counted: booleans [...], which predictions the mean counts, for example those before the end of their sequence.
        Default None: all.

    Returns:
      (mean of -log y_label; gradients of the head, a dictionary with Wy and by; gradient of h, [..., H]).

    Raises:
      ValueError: shapes do not fit, a label is out of range, or no prediction counts.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> head, h = {"Wy": np.zeros([3, 2]), "by": np.zeros(2)}, np.ones([5, 4, 3])
      >>> y, cache = numpy_lstm.head_forward(head, h)
      >>> loss, d_head, d_h = numpy_lstm.cross_entropy(np.zeros([5, 4], int), cache)
      >>> print(round(float(loss), 4), d_head["by"])  # log 2, and y - [1, 0]
      0.6931 [-0.5  0.5]
    """
    _, _, z, y = cache
    labels, counted = checks.labels(labels, counted, y.shape, "cross_entropy")
    one_hot = np.eye(y.shape[-1])[labels]
    highest = np.max(z, axis=-1, keepdims=True)
    log_y = z - highest - np.log(np.sum(np.exp(z - highest), axis=-1, keepdims=True))
    share = counted[..., None] / np.sum(counted)
    d_head, d_h = _dense_backward(cache, share * (y - one_hot))
    return -np.sum(share * one_hot * log_y), d_head, d_h


def _dense_backward(cache: HeadCache, dz: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Undoes (1): returns the gradients of the head and of h."""
    rows, d_rows = cache.h.reshape(-1, cache.h.shape[-1]), dz.reshape(-1, dz.shape[-1])
    return {"Wy": rows.T @ d_rows, "by": np.sum(d_rows, axis=0)}, dz @ cache.head["Wy"].T
