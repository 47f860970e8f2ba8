"""`Layout`: which arrays a library stores for one layer, and which shapes fit. `layouts.py` has the table."""

from __future__ import annotations

import collections
import collections.abc
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks

_NORM_PARTS = ("gains", "biases", "shift")


class Layout(NamedTuple):
    """The arrays of one layer in some library, in the order in which the library lists them.

    Fields:
      matrices: sequence of (array's name, rows, gates). Rows are "x", "h", or both from top to bottom. Gates are
        letters of `Wf Wi Wc Wo` from left to right, H columns each.
      biases: sequence of (array's name, gates), H entries per gate. If a gate occurs more than once, its biases add.
      forget_bias: what the library adds to the forget gate's bias at run time by default.
      peepholes: sequence of (array's name, gates), H entries per gate; empty if the library has none.
      projection: name of the array [H, P]; None if the library has none.
      gains: sequence of (array's name, gate), H entries each, for layer normalization. The gate "s" is the cell state.
        Empty if the library has none.
      shift: name of the array [H] that shifts the normalized cell state; None if the library has none. A layer has it
        if it has gains and biases.
      always_normalizes: whether each layer has gains.
      gates_in_rows: whether all arrays above are transposed, so that gates are rows from top to bottom.
      holds_transposes: whether each gate's part of a matrix, read row by row, holds the numbers of its transpose.
      leading_axis: whether all arrays have one more axis in front, of size 1.

    Example:
      >>> layout = stacked_lstm.layouts.LAYOUTS["keras"]
      >>> layout.matrices
      [('kernel', 'x', 'ifco'), ('recurrent_kernel', 'h', 'ifco')]
      >>> layout.biases, layout.forget_bias
      ([('bias', 'ifco')], 0.0)
    """

    matrices: Sequence[tuple[str, str, str]]
    biases: Sequence[tuple[str, str]]
    forget_bias: float = 0.0
    peepholes: Sequence[tuple[str, str]] = ()
    projection: str | None = None
    gains: Sequence[tuple[str, str]] = ()
    shift: str | None = None
    always_normalizes: bool = False
    gates_in_rows: bool = False
    holds_transposes: bool = False
    leading_axis: bool = False


def named_arrays(arrays: Any, layout: Layout, function: str) -> dict[str, np.ndarray]:
    """One layer's arrays by name.

    Args:
      arrays: mapping from names to arrays, where None counts as missing; or list of the matrices, or of the matrices
        and the biases.
      layout: the `Layout` of the arrays.
      function: the function that error messages name.

    Raises:
      ValueError: a matrix is missing; the biases, the peepholes, the projection or the arrays of layer normalization
        are incomplete; there are other arrays; or arrays are not floats.
    """
    matrices = [name for name, _, _ in layout.matrices]
    optional = {
        "biases": [name for name, _ in layout.biases],
        "peepholes": [name for name, _ in layout.peepholes],
        "projection": [layout.projection] if layout.projection else [],
        "gains": [name for name, _ in layout.gains],
        "shift": [layout.shift] if layout.shift else [],
    }
    parts = [f"{kind} ({', '.join(names)})" for kind, names in optional.items() if names]
    expected = f"the arrays of one layer, {', '.join(matrices)}, with or without {', '.join(parts)}"
    if isinstance(arrays, collections.abc.Mapping):
        arrays = {name: array for name, array in arrays.items() if array is not None}
    elif isinstance(arrays, (list, tuple)) and len(arrays) in (len(matrices), len(matrices + optional["biases"])):
        arrays = dict(zip(matrices + optional["biases"], arrays))
    else:
        is_list = isinstance(arrays, (list, tuple))
        actual = f"a {type(arrays).__name__} of length {len(arrays)}" if is_list else checks.describe(arrays)
        checks.fail(function, expected, actual)
    known = set(matrices).union(*optional.values())
    complete = all(len(set(names) & set(arrays)) in (0, len(names)) for names in optional.values())
    if layout.shift:
        has_norm, has_biases, has_shift = (bool(set(optional[part]) & set(arrays)) for part in _NORM_PARTS)
        complete = complete and has_shift == (has_norm and has_biases) and has_norm >= layout.always_normalizes
    if not complete or not set(matrices) <= set(arrays) <= known:
        checks.fail(function, expected, ", ".join(sorted(arrays)) or "none")
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.kind in "iubcOSU":
            checks.fail(function, f"the array {name} to hold floats", f"the dtype {array.dtype.name}")
    return arrays


def find_sizes(arrays: Mapping[str, np.ndarray], layout: Layout, function: str) -> dict[str, int]:
    """The sizes of a layer, from the shapes of its arrays.

    Args:
      arrays: as `named_arrays` returns them.
      layout: the `Layout` of the arrays.
      function: the function that error messages name.

    Returns:
      Dictionary with "H", the hidden size, "I", the input size, and "P", the projection size, if there is a projection.

    Raises:
      ValueError: the shapes do not fit together.
    """
    axes = _axes(layout, layout.projection in arrays)
    sizes = {"": 1}
    for _ in range(3):  # Each pass finds the letters that are the only unknown one of an axis.
        for name, array in arrays.items():
            for size, axis in zip(array.shape, axes[name]):
                unknown = [letter for letter in axis if letter not in sizes]
                if len(set(unknown)) == 1:
                    sizes[unknown[0]] = (size - sum(sizes.get(letter, 0) for letter in axis)) // len(unknown)
    fitting = {name: tuple(sum(sizes.get(letter, 0) for letter in axis) for axis in axes[name]) for name in axes}
    shapes = {name: array.shape for name, array in arrays.items()}
    if min(sizes.get("H", 0), sizes.get("I", 0)) < 1 or any(shapes[name] != fitting[name] for name in shapes):
        expected = ", ".join(_shape_text(name, axes[name]) for name in shapes)
        actual = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        checks.fail(function, f"the shapes {expected}", actual)
    return sizes


def _axes(layout: Layout, has_projection: bool) -> dict[str, list[list[str]]]:
    """Array's name -> for each axis the letters of the sizes that make it up; "" is a size of 1."""
    height = {"h": "P" if has_projection else "H", "x": "I"}
    axes = {name: [[height[letter] for letter in rows], ["H"] * len(gates)] for name, rows, gates in layout.matrices}
    vectors = [*layout.biases, *layout.peepholes, *layout.gains, *([(layout.shift, "s")] if layout.shift else [])]
    axes.update((name, [["H"] * len(gates)]) for name, gates in vectors)
    if has_projection and layout.projection:
        axes[layout.projection] = [["H"], ["P"]]
    for name in axes:
        ordered = axes[name][::-1] if layout.gates_in_rows else axes[name]
        axes[name] = [[""]] * layout.leading_axis + ordered
    return axes


def _shape_text(name: str, axes: Sequence[Sequence[str]]) -> str:
    """For example "kernel [I + H, 4H]"."""
    counts = [collections.Counter(axis) for axis in axes]
    terms = [[f"{n if n > 1 or not letter else ''}{letter}" for letter, n in axis.items()] for axis in counts]
    return f"{name} [{', '.join(' + '.join(axis) for axis in terms)}]"
