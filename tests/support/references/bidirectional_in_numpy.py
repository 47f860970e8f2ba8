"""A BidirectionalLSTM and its gradients, written with `numpy_lstm` and reversals."""

import numpy as np

from stacked_lstm import LSTMState, numpy_lstm

SIDES = ("forward", "backward")
MERGES = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "average": lambda a, b: 0.5 * a + 0.5 * b,
}
MERGES_BACKWARD = {
    "concat": lambda d, a, b: np.split(d, [a.shape[-1]], axis=-1),
    "sum": lambda d, a, b: (d, d),
    "mul": lambda d, a, b: (d * b, d * a),
    "average": lambda d, a, b: (0.5 * d, 0.5 * d),
}


def reverse(series, lengths):
    """[T, B, N] with the first lengths[b] steps of sequence b in the opposite order."""
    result = np.array(series)
    for b, length in enumerate(lengths):
        result[:length, b] = series[:length, b][::-1]
    return result


def groups(stacking, count):
    """The layers that a direction runs without a merge in between."""
    return [[k] for k in range(count)] if stacking == "layers" else [list(range(count))]


def _start(kind, side_weights, group, first):
    """(initial states, cache of the projection) of the layers of a group."""
    batch, layers = len(first), [side_weights.initial_state[k] for k in group] if kind != "zeros" else []
    if kind == "projected":
        return numpy_lstm.projected_forward(layers, first)
    if kind == "learned":
        return [LSTMState(*[np.tile(layer[f], [batch, 1]) for f in "ch"]) for layer in layers], None
    return None, None


def run(weights, x, lengths, merge, stacking, kind="zeros", starts=None):
    """Returns (outputs, states, tape for `gradients`).

    Args:
      weights: a pair of `Weights` of arrays, forward and backward.
      x: [T, B, I].
      lengths: [B] ints.
      merge, stacking: the arguments of BidirectionalLSTM.
      kind: its argument `initial_state`.
      starts: a pair of lists of (c, h) that replaces `kind`; or None.
    """
    tape, states = [], {side: [] for side in SIDES}
    for group in groups(stacking, len(weights[0].layers)):
        caches, pair = [], []
        for n, side in enumerate(SIDES):
            series = reverse(x, lengths) if n else x
            first = np.where(np.array(lengths)[:, None] > 0, series[0], 0)
            start, projection = _start(kind, weights[n], group, first)
            if starts is not None:
                start, projection = [starts[n][k] for k in group], None
            layers = [weights[n].layers[k] for k in group]
            outputs, finals, cache = numpy_lstm.forward(layers, series, start, lengths)
            caches.append((cache, projection))
            pair.append(reverse(outputs, lengths) if n else outputs)
            states[side] += finals
        x = MERGES[merge or "concat"](*pair)
        tape.append((group, caches, pair))
    return (pair if merge is None else x), [states[side] for side in SIDES], tape


def gradients(tape, lengths, merge, kind, d_outputs, d_states):
    """Name -> gradient: of x, of the variables by their names, and of the starts, such as "forward 0 c"."""
    result, d = {}, np.concatenate(d_outputs, axis=-1) if merge is None else d_outputs
    for group, caches, pair in reversed(tape):
        d_pair, d = MERGES_BACKWARD[merge or "concat"](d, *pair), 0
        for n, (side, (cache, projection)) in enumerate(zip(SIDES, caches)):
            d_series = reverse(d_pair[n], lengths) if n else d_pair[n]
            found = numpy_lstm.backward(d_series, [d_states[n][k] for k in group], cache)
            d_x, d_start = found["x"], found["initial_state"]
            for k, layer, start in zip(group, found["layers"], d_start):
                result.update({f"{side}/layer_{k + 1}/{name}": value for name, value in layer.items()})
                result.update({f"{side} {k} {f}": getattr(start, f) for f in "ch"})
                if kind == "learned":
                    path = f"{side}/initial_state/layer_{k + 1}"
                    result.update({f"{path}/{f}": getattr(start, f).sum(axis=0) for f in "ch"})
            if projection is not None:
                layers, d_first = numpy_lstm.projected_backward(d_start, projection)
                for k, layer in zip(group, layers):
                    path = f"{side}/initial_state/layer_{k + 1}"
                    result.update({f"{path}/{name}": value for name, value in layer.items()})
                d_x = np.array(d_x)
                d_x[0] += np.where(np.array(lengths)[:, None] > 0, d_first, 0)
            d = d + (reverse(d_x, lengths) if n else d_x)
    return dict(result, x=d)
