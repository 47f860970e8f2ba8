"""How libraries lay out the weights of an LSTM layer: a table, and the functions that read it.

    layer = layouts.unpack(keras_layer.get_weights(), "keras")      # {"Wf": [H + I, H], ..., "bo": [H]}
    keras_layer.set_weights(list(layouts.pack(layer, "keras").values()))

All libraries compute the same equations (see `equations`) from the same numbers; what differs is which gate matrices
stand side by side in which array, whether the rows of x are above those of h, how many biases there are, and whether
the forget bias is in the bias or added to it at run time. A matrix in the wrong order has the right shape and loads
without complaint, so this is written down in one place only. Layouts, each with the arrays of one layer in order:

    "stacked_lstm"      Wf Wi Wo Wc bf bi bo bc, this package's
    "rnn_cell"          kernel bias, of BasicLSTMCell, LSTMCell, LSTMBlockCell and LSTMBlockFusedCell
    "cudnn_compatible"  the same of CudnnCompatibleLSTMCell, which adds no forget bias
    "keras"             kernel recurrent_kernel bias, of keras.layers.LSTM
    "keras_cudnn"       arrays of the same names and, but for bias [8H], shapes, of CuDNNLSTM; yet otherwise arranged
    "block_lstm"        w b, inputs of the op tf.raw_ops.BlockLSTM
    "block_lstm_v2"     the same of BlockLSTMV2, in another order and without a forget bias
    "pytorch"           weight_ih weight_hh bias_ih bias_hh, of torch.nn.LSTM
    "onnx"              W R B, inputs of the operator LSTM, in one direction
    "cudnn"             w_i ... w_o r_i ... r_o b_wi ... b_wo b_ri ... b_ro, the weights and the biases that
                        tf.raw_ops.CudnnRNNCanonicalToParams takes for one layer

Some have more, which this package's common form then names so: peepholes `pf pi po`, [H] each, by which the state c is
seen by its gates (c_(t-1) by f and i, c_t by o), and a projection `Wp`, [H, P]: h' is (o * tanh(c')) Wp, so that P
replaces H as the number of rows of h. `StackedLSTM` itself has neither.

Where two biases add, their sum is kept, not the two. Matrices pass bit for bit, and so do biases, but for a forget
gate's to which a forget bias other than 0.0 is added, or from which it is taken: that rounds, by at most the spacing of
floats there, and not at all for those float32 below 1 that are multiples of 2^-23.
"""

import collections
import collections.abc

import numpy as np

from stacked_lstm import checks

Layout = collections.namedtuple(
    "Layout",
    ["matrices", "biases", "forget_bias", "peepholes", "projection", "by_rows", "each_by_rows", "leading"],
    defaults=[0.0, (), None, False, False, False],
)
Layout.__doc__ = """The arrays of one layer in some library, in the order in which the library lists them.

Fields:
  matrices: (array's name, which rows, which gates) each. Rows are "x", "h", or both from top to bottom; gates are the
    letters of `Wf Wi Wc Wo` from left to right, H columns each.
  biases: (array's name, which gates) each, H entries per gate. A gate that comes again has several, which add.
  forget_bias: what the library adds to the forget gate's bias at run time, by default.
  peepholes: (array's name, which gates) each, H entries per gate; empty where the library has none.
  projection: name of the array [H, P], or None.
  by_rows: whether all of that is transposed: gates are rows then, from top to bottom.
  each_by_rows: whether each gate's matrix is transposed, row by row, into the place and shape that it has otherwise.
  leading: whether all arrays have one more axis in front, of size 1.
"""

GATES = "fioc"
OWN = "stacked_lstm"

_DIAGONALS = [("w_f_diag", "f"), ("w_i_diag", "i"), ("w_o_diag", "o")]

LAYOUTS = {
    # A variable per gate. Peepholes and projections are the common form's only.
    OWN: Layout(
        matrices=[("W" + gate, "hx", gate) for gate in GATES],
        biases=[("b" + gate, gate) for gate in GATES],
        peepholes=[("p" + gate, gate) for gate in "fio"],
        projection="Wp",
    ),
    "rnn_cell": Layout(
        matrices=[("kernel", "xh", "icfo")],
        biases=[("bias", "icfo")],
        forget_bias=1.0,
        peepholes=_DIAGONALS,
        projection="projection/kernel",
    ),
    "cudnn_compatible": Layout(matrices=[("kernel", "xh", "icfo")], biases=[("bias", "icfo")]),
    # Keras 2 and 3; `unit_forget_bias` is in the bias.
    "keras": Layout(
        matrices=[("kernel", "x", "ifco"), ("recurrent_kernel", "h", "ifco")],
        biases=[("bias", "ifco")],
    ),
    "keras_cudnn": Layout(
        matrices=[("kernel", "x", "ifco"), ("recurrent_kernel", "h", "ifco")],
        biases=[("bias", "ifco" + "ifco")],
        each_by_rows=True,  # What cuDNN takes, [H, I], in an array [I, H].
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
        by_rows=True,
    ),
    "onnx": Layout(
        matrices=[("W", "x", "iofc"), ("R", "h", "iofc")],
        biases=[("B", "iofc" + "iofc")],
        peepholes=[("P", "iof")],
        by_rows=True,
        leading=True,
    ),
    "cudnn": Layout(
        matrices=[(f"{w}_{gate}", rows, gate) for w, rows in [("w", "x"), ("r", "h")] for gate in "ifco"],
        biases=[(f"b_{w}{gate}", gate) for w in "wr" for gate in "ifco"],
        projection="pw",
        by_rows=True,
    ),
}


def unpack(arrays, layout, forget_bias=None):
    """Reads one layer's arrays.

    Args:
      arrays: mapping from the layout's names to arrays of floats, or a sequence of its matrices, or of these and its
        biases, in the layout's order. All of the biases or none, all of the peepholes or none (missing, or None).
      layout: a name of `LAYOUTS`.
      forget_bias: what is added to the forget gate at run time; None for the layout's default. 0.0 for gradients,
        and for what optimizers keep.

    Returns:
      An ordered dictionary with Wf Wi Wo Wc, [H + I, H] each, rows of h first, and bf bi bo bc, [H] each; without the
      biases where there are none and the forget bias is 0. Then pf pi po, [H] each, and Wp, [H, P], if they are given;
      with Wp the matrices are [P + I, H].

    Raises:
      ValueError: an unknown layout, arrays missing or of shapes that do not fit together.
    """
    source = checks.known(LAYOUTS, layout, "layouts.unpack", "layout")
    blocks = _read(arrays, source, "layouts.unpack")
    return _write(blocks, LAYOUTS[OWN], _number(forget_bias, source, "layouts.unpack"))


def pack(layer, layout, forget_bias=None):
    """Writes one layer's arrays; `unpack` reads them back.

    Args:
      layer: mapping as `unpack` returns it: Wf Wi Wo Wc, and bf bi bo bc, or none of these (missing, or None); with
        pf pi po and Wp only where the layout has a place for them.
      layout, forget_bias: as for `unpack`.

    Returns:
      An ordered dictionary from the layout's names to arrays. Without biases it has none, unless the library adds a
      forget bias, which they then take back. Of several biases that add, the first is the bias, the others are zeros.

    Raises:
      ValueError: an unknown layout, arrays missing or of shapes that do not fit together, peepholes or a projection
        for a layout that has none.
    """
    target = checks.known(LAYOUTS, layout, "layouts.pack", "layout")
    if not isinstance(layer, collections.abc.Mapping):
        checks.fail("layouts.pack", "a mapping from Wf ... bo to arrays, for one layer", f"a {type(layer).__name__}")
    blocks = _read(layer, LAYOUTS[OWN], "layouts.pack")
    for what, has, given in [
        ("peepholes", target.peepholes, ("f", "p") in blocks),
        ("a projection", target.projection, "projection" in blocks),
    ]:
        if given and not has:
            checks.fail("layouts.pack", f"a layer without {what}, since the layout {layout!r} has none", what)
    return _write(blocks, target, -_number(forget_bias, target, "layouts.pack"))


def _number(forget_bias, layout, function):
    return layout.forget_bias if forget_bias is None else checks.number(forget_bias, function, "forget_bias")


def _read(arrays, layout, function):
    """What is in arrays of a layout.

    Returns:
      (gate, "h" or "x") -> matrix [H or I, H]; (gate, "b") -> bias [H]; (gate, "p") -> peephole [H]; "projection" ->
      matrix [H, P]. What is not given is missing.
    """
    arrays = _named(arrays, layout, function)
    sizes = _sizes(arrays, layout, function)
    heights = {"h": sizes.get("P", sizes["H"]), "x": sizes["I"]}
    if layout.leading:
        arrays = {name: array[0] for name, array in arrays.items()}
    if layout.by_rows:
        arrays = {name: array.T for name, array in arrays.items()}
    blocks = {}
    for name, rows, gates in layout.matrices:
        edges = np.cumsum([heights[letter] for letter in rows])[:-1]
        for gate, columns in zip(gates, np.split(arrays[name], len(gates), axis=1)):
            columns = columns.reshape(columns.shape[::-1]).T if layout.each_by_rows else columns
            blocks.update(zip([(gate, letter) for letter in rows], np.split(columns, edges)))
    for kind, entries in [("b", layout.biases), ("p", layout.peepholes)]:
        for name, gates in entries:
            for gate, part in zip(gates, np.split(arrays[name], len(gates)) if name in arrays else []):
                blocks[gate, kind] = _sum(blocks[gate, kind], part) if (gate, kind) in blocks else part
    if layout.projection in arrays:
        blocks["projection"] = arrays[layout.projection]
    return blocks


def _write(blocks, layout, added):
    """Arrays in a layout from what `_read` returns, with `added` to the forget gate's bias."""
    arrays = collections.OrderedDict()
    for name, rows, gates in layout.matrices:
        columns = [np.concatenate([blocks[gate, letter] for letter in rows]) for gate in gates]
        if layout.each_by_rows:
            columns = [column.T.reshape(column.shape) for column in columns]
        arrays[name] = np.concatenate(columns, axis=1)
    if added or ("f", "b") in blocks:
        arrays.update(_biases(blocks, layout, added))
    if ("f", "p") in blocks:
        arrays.update((name, np.concatenate([blocks[g, "p"] for g in gates])) for name, gates in layout.peepholes)
    if "projection" in blocks:
        arrays[layout.projection] = np.array(blocks["projection"])
    if layout.by_rows:
        arrays = collections.OrderedDict((name, np.ascontiguousarray(array.T)) for name, array in arrays.items())
    if layout.leading:
        arrays = collections.OrderedDict((name, array[np.newaxis]) for name, array in arrays.items())
    return arrays


def _biases(blocks, layout, added):
    zeros = np.zeros(blocks["f", "x"].shape[1:], blocks["f", "x"].dtype)
    left = {gate: blocks.get((gate, "b"), zeros) for gate in GATES}
    left["f"] = _sum(left["f"], np.full_like(zeros, added))
    # The first of several biases takes all that there is, and leaves zeros for the others.
    return [(name, np.concatenate([left.pop(gate, zeros) for gate in gates])) for name, gates in layout.biases]


def _sum(a, b):
    """a + b, and a itself where b is zero: -0.0 + 0.0 would be 0.0."""
    return np.where(b == 0, a, a + b).astype(a.dtype)


def _named(arrays, layout, function):
    """`arrays` by name; raises ValueError unless they are the layout's matrices, and of each other kind all or none."""
    kinds = {
        "biases": [name for name, _ in layout.biases],
        "peepholes": [name for name, _ in layout.peepholes],
        "projection": [layout.projection] if layout.projection else [],
    }
    matrices = [name for name, _, _ in layout.matrices]
    expected = f"one layer's arrays {', '.join(matrices + kinds['biases'])}, all of the biases or none"
    if isinstance(arrays, collections.abc.Mapping):
        arrays = {name: array for name, array in arrays.items() if array is not None}
    elif isinstance(arrays, (list, tuple)) and len(arrays) in (len(matrices), len(matrices + kinds["biases"])):
        arrays = dict(zip(matrices + kinds["biases"], arrays))
    else:
        checks.fail(function, expected, f"{len(arrays)} arrays" if hasattr(arrays, "__len__") else repr(arrays))
    known = set(matrices).union(*kinds.values())
    whole = all(len(set(names) & set(arrays)) in (0, len(names)) for names in kinds.values())
    if not whole or not set(matrices) <= set(arrays) <= known:
        more = [f"; {kind} {', '.join(kinds[kind])} or none" for kind in ("peepholes", "projection") if kinds[kind]]
        checks.fail(function, expected + "".join(more), sorted(arrays))
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    if any(array.dtype.kind in "iubcOSU" for array in arrays.values()):
        checks.fail(function, "arrays of floats", {name: array.dtype.name for name, array in arrays.items()})
    return arrays


def _sizes(arrays, layout, function):
    """Sizes by their letters, {"H": units, "I": width of x, "P": width of h, where there is a projection}.

    Raises:
      ValueError: the shapes do not fit together.
    """
    axes = _axes(layout, layout.projection in arrays)
    sizes = {"": 1}
    for _ in range(3):  # Each pass finds the letters that are the only unknown one of some axis.
        for name, array in arrays.items():
            for size, axis in zip(array.shape, axes[name]):
                unknown = [letter for letter in axis if letter not in sizes]
                if len(set(unknown)) == 1:
                    sizes[unknown[0]] = (size - sum(sizes.get(letter, 0) for letter in axis)) // len(unknown)
    fitting = {name: tuple(sum(sizes.get(letter, 0) for letter in axis) for axis in axes[name]) for name in axes}
    given = {name: array.shape for name, array in arrays.items()}
    if min(sizes.get("H", 0), sizes.get("I", 0)) < 1 or any(given[name] != fitting[name] for name in given):
        checks.fail(function, f"fitting shapes {', '.join(_text(name, axes[name]) for name in axes)}", given)
    return sizes


def _axes(layout, projected):
    """Array's name -> for each axis the letters of the sizes that make it up; "" is a size of 1."""
    height = {"h": "P" if projected else "H", "x": "I"}
    axes = collections.OrderedDict(
        (name, [[height[letter] for letter in rows], ["H"] * len(gates)]) for name, rows, gates in layout.matrices
    )
    axes.update((name, [["H"] * len(gates)]) for name, gates in list(layout.biases) + list(layout.peepholes))
    if projected:
        axes[layout.projection] = [["H"], ["P"]]
    for name in axes:
        axes[name] = ([[""]] if layout.leading else []) + axes[name][:: -1 if layout.by_rows else 1]
    return axes


def _text(name, axes):
    """For example "kernel [I + H, 4H]"."""
    counts = [collections.Counter(axis) for axis in axes]
    terms = [[f"{n if n > 1 or not letter else ''}{letter}" for letter, n in axis.items()] for axis in counts]
    return f"{name} [{', '.join(' + '.join(axis) for axis in terms)}]"
