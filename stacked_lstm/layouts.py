"""How libraries lay out the weights of an LSTM layer: a table, and the functions that read it.

    layer = layouts.unpack(keras_layer.get_weights(), "keras")      # {"Wf": [H + I, H], ..., "bo": [H]}
    keras_layer.set_weights(list(layouts.pack(layer, "keras").values()))

All libraries compute the same equations (`numpy_lstm.equations` has them) from the same numbers. They differ in the
arrays that the gate matrices share, in the order of the gates and of the rows of x and h, in the number of biases, and
in whether the forget bias is in the bias or is added at run time. A matrix in the wrong order has the right shape and
loads without an error, so the orders are written down only here. The layouts, with the arrays of one layer in order:

    "stacked_lstm"      Wf Wi Wo Wc bf bi bo bc, and the arrays of options: this package's variables
    "rnn_cell"          kernel bias: BasicLSTMCell, LSTMCell, LSTMBlockCell and LSTMBlockFusedCell
    "cudnn_compatible"  kernel bias: CudnnCompatibleLSTMCell, which adds no forget bias
    "layer_norm_cell"   kernel input/beta ... input/gamma ... state/gamma state/beta: LayerNormBasicLSTMCell
    "keras"             kernel recurrent_kernel bias: keras.layers.LSTM
    "keras_cudnn"       kernel recurrent_kernel bias: Keras' CuDNNLSTM, in another order and with a bias [8H]
    "block_lstm"        w b: inputs of the op tf.raw_ops.BlockLSTM
    "block_lstm_v2"     w b: inputs of BlockLSTMV2, in another order and without a forget bias
    "pytorch"           weight_ih weight_hh bias_ih bias_hh: torch.nn.LSTM
    "onnx"              W R B: inputs of the operator LSTM, in one direction
    "cudnn"             w_i ... w_o r_i ... r_o b_wi ... b_wo b_ri ... b_ro: the weights and the biases of one layer in
                        tf.raw_ops.CudnnRNNCanonicalToParams

Some libraries have peepholes or a projection. In the common form, peepholes are `pf pi po`, [H] each. Through them the
gates f and i see the cell state of the step before, and o the new one. A projection is `Wp`, [H, P]. The hidden state
is then (o * tanh(c')) Wp, and the matrices have P rows for it instead of H. Layer normalization has the arrays
`gain_f gain_i gain_o gain_c gain_cell` and, with biases, `shift_cell`, [H] each. Only "stacked_lstm" and
"layer_norm_cell" have them. LayerNormBasicLSTMCell computes what `StackedLSTM(layer_norm="tensorflow")` computes.

If a library has two biases that add, their sum is kept. Matrices and biases keep every bit, with one exception. Adding
or subtracting a forget bias other than 0.0 rounds the forget gate's bias, by at most the spacing of floats there.
"""

from __future__ import annotations

import collections.abc
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple, Union

import numpy as np

from stacked_lstm import checks
from stacked_lstm.layout_shapes import Layout, find_sizes, named_arrays

__all__ = ["GATES", "LAYOUTS", "OWN", "Layout", "pack", "unpack"]

# (gate, "h" or "x") -> matrix [H or I, H]; (gate, "b") -> bias [H]; (gate, "p") -> peephole [H]; (gate, "n") -> gain
# [H]; _CELL_SHIFT -> [H]; _PROJECTION -> [H, P]. The gate "s" is the cell state.
_Blocks = Dict[Tuple[str, str], np.ndarray]
_PROJECTION, _CELL_SHIFT = ("", "projection"), ("s", "b")

Arrays = Union[Mapping[str, Any], Sequence[Any]]

GATES = "fioc"
OWN = "stacked_lstm"

_DIAGONALS = [("w_f_diag", "f"), ("w_i_diag", "i"), ("w_o_diag", "o")]
_NORM_SCOPES = [("input", "i"), ("transform", "c"), ("forget", "f"), ("output", "o")]

LAYOUTS: dict[str, Layout] = {
    # The common form itself: one variable per gate, with the names of `StackedLSTM`.
    OWN: Layout(
        matrices=[("W" + gate, "hx", gate) for gate in GATES],
        biases=[("b" + gate, gate) for gate in GATES],
        peepholes=[("p" + gate, gate) for gate in "fio"],
        projection="Wp",
        gains=[*[("gain_" + gate, gate) for gate in GATES], ("gain_cell", "s")],
        shift="shift_cell",
    ),
    "rnn_cell": Layout(
        matrices=[("kernel", "xh", "icfo")],
        biases=[("bias", "icfo")],
        forget_bias=1.0,
        peepholes=_DIAGONALS,
        projection="projection/kernel",
    ),
    "cudnn_compatible": Layout(matrices=[("kernel", "xh", "icfo")], biases=[("bias", "icfo")]),
    "layer_norm_cell": Layout(
        matrices=[("kernel", "xh", "icfo")],
        biases=[(f"{scope}/beta", gate) for scope, gate in _NORM_SCOPES],
        forget_bias=1.0,
        gains=[(f"{scope}/gamma", gate) for scope, gate in [*_NORM_SCOPES, ("state", "s")]],
        shift="state/beta",
        always_normalizes=True,
    ),
    # Keras 2 and 3; `unit_forget_bias` is in the bias.
    "keras": Layout(
        matrices=[("kernel", "x", "ifco"), ("recurrent_kernel", "h", "ifco")],
        biases=[("bias", "ifco")],
    ),
    "keras_cudnn": Layout(
        matrices=[("kernel", "x", "ifco"), ("recurrent_kernel", "h", "ifco")],
        biases=[("bias", "ifco" + "ifco")],
        holds_transposes=True,  # cuDNN's matrices [H, I] in arrays [I, H].
    ),
    "block_lstm": Layout(
        matrices=[("w", "xh", "icfo")],
        biases=[("b", "icfo")],
        forget_bias=1.0,
        peepholes=[("wci", "i"), ("wcf", "f"), ("wco", "o")],
    ),
    "block_lstm_v2": Layout(
        matrices=[("w", "xh", "ifco")],
        biases=[("b", "ifco")],
        peepholes=[("wci", "i"), ("wcf", "f"), ("wco", "o")],
    ),
    "pytorch": Layout(
        matrices=[("weight_ih", "x", "ifco"), ("weight_hh", "h", "ifco")],
        biases=[("bias_ih", "ifco"), ("bias_hh", "ifco")],
        projection="weight_hr",
        gates_in_rows=True,
    ),
    "onnx": Layout(
        matrices=[("W", "x", "iofc"), ("R", "h", "iofc")],
        biases=[("B", "iofc" + "iofc")],
        peepholes=[("P", "iof")],
        gates_in_rows=True,
        leading_axis=True,
    ),
    "cudnn": Layout(
        matrices=[(f"{w}_{gate}", rows, gate) for w, rows in [("w", "x"), ("r", "h")] for gate in "ifco"],
        biases=[(f"b_{w}{gate}", gate) for w in "wr" for gate in "ifco"],
        projection="pw",
        gates_in_rows=True,
    ),
}


def unpack(arrays: Arrays, layout: str, forget_bias: float | None = None) -> dict[str, np.ndarray]:
    """Converts one layer's arrays to the common form.

    Args:
      arrays: mapping from the layout's names to arrays of floats; or list of its matrices, or of its matrices and
        biases, in the layout's order. Biases and peepholes are all there, or all missing or None.
      layout: a name in `LAYOUTS`.
      forget_bias: what the library adds to the forget gate at run time; None for the layout's default. Use 0.0 for
        gradients and for what optimizers keep.

    Returns:
      Dictionary with Wf Wi Wo Wc, [H + I, H] each, rows of h first, and bf bi bo bc, [H] each. Without biases and
      without a forget bias there are no biases. Then pf pi po, [H] each, Wp, [H, P], and the arrays of layer
      normalization, if the layer has them. With Wp, the matrices are [P + I, H].

    Raises:
      ValueError: an unknown layout; arrays that are missing, or whose shapes do not fit together.

    Example:
      >>> kernel, recurrent_kernel, bias = np.ones([8, 12]), np.ones([3, 12]), np.zeros([12])  # Of a Keras LSTM.
      >>> layer = stacked_lstm.layouts.unpack([kernel, recurrent_kernel, bias], "keras")
      >>> {name: array.shape for name, array in layer.items() if name in ("Wf", "bf")}
      {'Wf': (11, 3), 'bf': (3,)}
    """
    source: Layout = checks.known(LAYOUTS, layout, "layouts.unpack", "layout")
    blocks = _split(arrays, source, "layouts.unpack")
    return _join(blocks, LAYOUTS[OWN], _forget_bias(forget_bias, source, "layouts.unpack"))


def pack(layer: Mapping[str, Any], layout: str, forget_bias: float | None = None) -> dict[str, np.ndarray]:
    """Converts one layer from the common form to a library's arrays; `unpack` converts back.

    Args:
      layer: mapping as `unpack` returns it: Wf Wi Wo Wc, and bf bi bo bc, which may all be missing or None; pf pi po,
        Wp and the arrays of layer normalization only if the layout has places for them.
      layout: a name in `LAYOUTS`.
      forget_bias: what the library adds to the forget gate at run time; None for the layout's default. It is
        subtracted from the forget gate's bias.

    Returns:
      Dictionary from the layout's names to arrays, in the layout's order. A layer without biases stays without, unless
      the forget bias is not 0.0: then its biases cancel it. If several biases add, the first has all numbers, and the
      others are zeros.

    Raises:
      ValueError: an unknown layout; arrays that are missing, or whose shapes do not fit together; peepholes, a
        projection or layer normalization for a layout without them.

    Example:
      >>> layer = {name: np.zeros([11, 3], np.float32) for name in ("Wf", "Wi", "Wo", "Wc")}
      >>> {name: array.shape for name, array in stacked_lstm.layouts.pack(layer, "pytorch").items()}
      {'weight_ih': (12, 8), 'weight_hh': (12, 3)}
      >>> stacked_lstm.layouts.pack(layer, "rnn_cell")["bias"]  # These cells add 1.0 to the forget gate.
      array([ 0.,  0.,  0.,  0.,  0.,  0., -1., -1., -1.,  0.,  0.,  0.],
            dtype=float32)
    """
    target: Layout = checks.known(LAYOUTS, layout, "layouts.pack", "layout")
    if not isinstance(layer, collections.abc.Mapping):
        checks.fail("layouts.pack", "`layer` to be a mapping from Wf ... bo to arrays", checks.describe(layer))
    blocks = _split(layer, LAYOUTS[OWN], "layouts.pack")
    for part, has_place, is_present in [
        ("peepholes", bool(target.peepholes), ("f", "p") in blocks),
        ("a projection", bool(target.projection), _PROJECTION in blocks),
        ("layer normalization", bool(target.gains), ("f", "n") in blocks),
    ]:
        if is_present and not has_place:
            raise ValueError(f"layouts.pack: the layer has {part}, for which the layout {layout!r} has no place")
    if target.always_normalizes and ("f", "n") not in blocks:
        raise ValueError(f"layouts.pack: the layer has no layer normalization, which the layout {layout!r} always has")
    return _join(blocks, target, -_forget_bias(forget_bias, target, "layouts.pack"))


def _forget_bias(forget_bias: float | None, layout: Layout, function: str) -> float:
    return layout.forget_bias if forget_bias is None else checks.number(forget_bias, function, "forget_bias")


def _split(arrays: Arrays, layout: Layout, function: str) -> _Blocks:
    """One layer's arrays, cut into a block per gate."""
    arrays = named_arrays(arrays, layout, function)
    sizes = find_sizes(arrays, layout, function)
    heights = {"h": sizes.get("P", sizes["H"]), "x": sizes["I"]}
    if layout.leading_axis:
        arrays = {name: array[0] for name, array in arrays.items()}
    if layout.gates_in_rows:
        arrays = {name: array.T for name, array in arrays.items()}
    blocks: _Blocks = {}
    for name, rows, gates in layout.matrices:
        edges = np.cumsum([heights[letter] for letter in rows])[:-1]
        for gate, matrix in zip(gates, np.split(arrays[name], len(gates), axis=1)):
            matrix = matrix.reshape(matrix.shape[::-1]).T if layout.holds_transposes else matrix
            blocks.update(zip([(gate, letter) for letter in rows], np.split(matrix, edges)))
    for kind, entries in [("b", layout.biases), ("p", layout.peepholes), ("n", layout.gains)]:
        for name, gates in entries:
            for gate, part in zip(gates, np.split(arrays[name], len(gates)) if name in arrays else []):
                blocks[gate, kind] = _sum(blocks[gate, kind], part) if (gate, kind) in blocks else part
    if layout.projection and layout.projection in arrays:
        blocks[_PROJECTION] = arrays[layout.projection]
    if layout.shift and layout.shift in arrays:
        blocks[_CELL_SHIFT] = arrays[layout.shift]
    return blocks


def _join(blocks: _Blocks, layout: Layout, forget_bias: float) -> dict[str, np.ndarray]:
    """One layer's arrays from its blocks, with `forget_bias` added to the forget gate's bias."""
    arrays = {}
    for name, rows, gates in layout.matrices:
        matrices = [np.concatenate([blocks[gate, letter] for letter in rows]) for gate in gates]
        if layout.holds_transposes:
            matrices = [matrix.T.reshape(matrix.shape) for matrix in matrices]
        arrays[name] = np.concatenate(matrices, axis=1)
    if forget_bias or ("f", "b") in blocks:
        arrays.update(_joined_biases(blocks, layout, forget_bias))
    if ("f", "p") in blocks:
        arrays.update((name, np.concatenate([blocks[g, "p"] for g in gates])) for name, gates in layout.peepholes)
    if _PROJECTION in blocks and layout.projection:
        arrays[layout.projection] = np.array(blocks[_PROJECTION])
    if ("f", "n") in blocks:
        arrays.update((name, np.array(blocks[gate, "n"])) for name, gate in layout.gains)
    if layout.shift and ("f", "n") in blocks and layout.biases[0][0] in arrays:
        arrays[layout.shift] = np.array(blocks.get(_CELL_SHIFT, np.zeros_like(blocks["f", "n"])))
    if layout.gates_in_rows:
        arrays = {name: np.ascontiguousarray(array.T) for name, array in arrays.items()}
    if layout.leading_axis:
        arrays = {name: array[np.newaxis] for name, array in arrays.items()}
    return arrays


def _joined_biases(blocks: _Blocks, layout: Layout, forget_bias: float) -> Iterator[tuple[str, np.ndarray]]:
    zeros = np.zeros(blocks["f", "x"].shape[1:], blocks["f", "x"].dtype)
    biases = {gate: blocks.get((gate, "b"), zeros) for gate in GATES}
    biases["f"] = _sum(biases["f"], np.full_like(zeros, forget_bias))
    for name, gates in layout.biases:  # The first of several biases that add takes the numbers, the others get zeros.
        yield name, np.concatenate([biases.pop(gate, zeros) for gate in gates])


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b; if b is zero, a itself, because -0.0 + 0.0 would be 0.0."""
    return np.where(b == 0, a, a + b).astype(a.dtype)
