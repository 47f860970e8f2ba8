"""How libraries lay out the weights of an LSTM layer: a table, and the functions that read it.

    layer = layouts.unpack(keras_layer.get_weights(), "keras")      # {"Wf": [H + I, H], ..., "bo": [H]}
    keras_layer.set_weights(list(layouts.pack(layer, "keras").values()))

All libraries compute the same equations (see `equations`) from the same numbers; what differs is which gate matrices
stand side by side in which array, whether the rows of x are above those of h, and whether the forget bias is in the
bias or added to it at run time. A matrix in the wrong order has the right shape and loads without complaint, so this
is written down in one place only. Layouts, each with the arrays of one layer in order:

    "stacked_lstm"    Wf Wi Wo Wc bf bi bo bc, this package's
    "rnn_cell"        kernel bias, of BasicLSTMCell, LSTMCell and LSTMBlockCell
    "keras"           kernel recurrent_kernel bias, of keras.layers.LSTM
"""

import collections
import collections.abc

import numpy as np

from stacked_lstm import checks

Layout = collections.namedtuple("Layout", ["matrices", "biases", "forget_bias"])
Layout.__doc__ = """The arrays of one layer in some library, in the order in which the library lists them.

Fields:
  matrices: (array's name, which rows, which gates) each. Rows are "x", "h", or both from top to bottom; gates are the
    letters of `Wf Wi Wc Wo` from left to right, H columns each.
  biases: (array's name, which gates) each, H entries per gate.
  forget_bias: what the library adds to the forget gate's bias at run time, by default.
"""

GATES = "fioc"
OWN = "stacked_lstm"

_SYMBOLS = {"h": "H", "x": "I"}

LAYOUTS = {
    # This package: a variable per gate.
    OWN: Layout(
        matrices=[("W" + gate, "hx", gate) for gate in GATES],
        biases=[("b" + gate, gate) for gate in GATES],
        forget_bias=0.0,
    ),
    # BasicLSTMCell, LSTMCell and LSTMBlockCell of TensorFlow 1.
    "rnn_cell": Layout(matrices=[("kernel", "xh", "icfo")], biases=[("bias", "icfo")], forget_bias=1.0),
    # keras.layers.LSTM, Keras 2 and 3; `unit_forget_bias` is in the bias.
    "keras": Layout(
        matrices=[("kernel", "x", "ifco"), ("recurrent_kernel", "h", "ifco")],
        biases=[("bias", "ifco")],
        forget_bias=0.0,
    ),
}


def unpack(arrays, layout, forget_bias=None):
    """Reads one layer's arrays.

    Args:
      arrays: mapping from the layout's names to arrays of floats, or a sequence of arrays in the layout's order; all
        of the biases or none (missing, or None).
      layout: a name of `LAYOUTS`.
      forget_bias: what is added to the forget gate at run time; None for the layout's default. 0.0 for gradients.

    Returns:
      An ordered dictionary with Wf Wi Wo Wc, [H + I, H] each, rows of h first, and bf bi bo bc, [H] each; without the
      biases where there are none and the forget bias is 0.

    Raises:
      ValueError: an unknown layout, arrays missing or of shapes that do not fit together.
    """
    source = checks.known(LAYOUTS, layout, "layouts.unpack", "layout")
    blocks = _read(arrays, source, "layouts.unpack")
    return _write(blocks, LAYOUTS[OWN], _number(forget_bias, source, "layouts.unpack"))


def pack(layer, layout, forget_bias=None):
    """Writes one layer's arrays; `unpack` reads them back.

    Args:
      layer: mapping with Wf Wi Wo Wc, [H + I, H] each, rows of h first, and bf bi bo bc, [H] each, or none of them
        (missing, or None).
      layout, forget_bias: as for `unpack`.

    Returns:
      An ordered dictionary from the layout's names to arrays. Without biases it has none, unless the library adds a
      forget bias, which they then take back.

    Raises:
      ValueError: an unknown layout, arrays missing or of shapes that do not fit together.
    """
    target = checks.known(LAYOUTS, layout, "layouts.pack", "layout")
    if not isinstance(layer, collections.abc.Mapping):
        checks.fail("layouts.pack", "a mapping from Wf ... bo to arrays, for one layer", "a %s" % type(layer).__name__)
    blocks = _read(layer, LAYOUTS[OWN], "layouts.pack")
    return _write(blocks, target, -_number(forget_bias, target, "layouts.pack"))


def _number(forget_bias, layout, function):
    return layout.forget_bias if forget_bias is None else checks.number(forget_bias, function, "forget_bias")


def _read(arrays, layout, function):
    """(gate, "h" or "x" or "b") -> matrix [H or I, H] or bias [H] (no biases: none), from arrays in a layout."""
    arrays = _named(arrays, layout, function)
    heights = _heights(arrays, layout, function)
    blocks = {}
    for name, rows, gates in layout.matrices:
        edges = np.cumsum([heights[letter] for letter in rows])[:-1]
        for gate, columns in zip(gates, np.split(arrays[name], len(gates), axis=1)):
            blocks.update(zip([(gate, letter) for letter in rows], np.split(columns, edges)))
    for name, gates in layout.biases:
        for gate, part in zip(gates, np.split(arrays[name], len(gates)) if name in arrays else []):
            blocks[gate, "b"] = part
    return blocks


def _write(blocks, layout, added):
    """Arrays in a layout from what `_read` returns, with `added` to the forget gate's bias."""
    arrays = collections.OrderedDict()
    for name, rows, gates in layout.matrices:
        arrays[name] = np.block([[blocks[gate, letter] for gate in gates] for letter in rows])
    if not added and ("f", "b") not in blocks:
        return arrays
    zeros = np.zeros(blocks["f", "h"].shape[:1], blocks["f", "h"].dtype)
    biases = {gate: blocks.get((gate, "b"), zeros) for gate in GATES}
    biases["f"] = biases["f"] + np.asarray(added, zeros.dtype)  # A Python float would make float64 of some types.
    for name, gates in layout.biases:
        arrays[name] = np.concatenate([biases[gate] for gate in gates])
    return arrays


def _named(arrays, layout, function):
    """`arrays` by name; raises ValueError unless they are the layout's matrices and all of its biases or none."""
    matrices, biases = ([entry[0] for entry in entries] for entries in (layout.matrices, layout.biases))
    expected = "one layer's arrays %s, all of the biases or none" % ", ".join(matrices + biases)
    if isinstance(arrays, collections.abc.Mapping):
        arrays = {name: array for name, array in arrays.items() if array is not None}
    elif isinstance(arrays, (list, tuple)) and len(arrays) in (len(matrices), len(matrices + biases)):
        arrays = dict(zip(matrices + biases, arrays))
    else:
        checks.fail(function, expected, "%d arrays" % len(arrays) if hasattr(arrays, "__len__") else repr(arrays))
    if set(arrays) not in (set(matrices), set(matrices + biases)):
        checks.fail(function, expected, sorted(arrays))
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    if any(array.dtype.kind in "iubcOSU" for array in arrays.values()):
        checks.fail(function, "arrays of floats", {name: array.dtype.name for name, array in arrays.items()})
    return arrays


def _heights(arrays, layout, function):
    """How many rows h and x have, {"h": H, "x": I}; raises ValueError unless the shapes fit together."""
    first, _, gates = layout.matrices[0]
    hidden_size = arrays[first].shape[-1] // len(gates) if arrays[first].ndim else 0
    heights = {"h": hidden_size, "x": 0}
    for name, rows, _ in layout.matrices:
        if "x" in rows and arrays[name].ndim:
            heights["x"] = arrays[name].shape[0] - (hidden_size if "h" in rows else 0)
    expected, symbols = {}, []
    for name, rows, gates in layout.matrices:
        expected[name] = (sum(heights[letter] for letter in rows), len(gates) * hidden_size)
        symbols.append("%s [%s, %s]" % (name, " + ".join(_SYMBOLS[letter] for letter in rows), _columns(gates)))
    for name, gates in layout.biases:
        expected[name] = (len(gates) * hidden_size,)
        symbols.append("%s [%s]" % (name, _columns(gates)))
    given = {name: array.shape for name, array in arrays.items()}
    if min(heights.values()) < 1 or any(shape != expected[name] for name, shape in given.items()):
        checks.fail(function, "fitting shapes %s" % ", ".join(symbols), given)
    return heights


def _columns(gates):
    return "%dH" % len(gates) if len(gates) > 1 else "H"
