"""States of cells as engines take them, and back.

Engines take a pair (c, h) per layer. The state of a cell is a nest of tensors. Each of them is c or h, or, with
`state_is_tuple=False`, several of these side by side, [c of layer 1, h of layer 1, c of layer 2, ...].
"""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMStateTuple


def unpack(state: Any, state_size: Any, widths: Sequence[tuple[int, int]]) -> list[LSTMStateTuple]:
    """Returns the state of a cell as a pair (c, h) per layer.

    Args:
      state: nest of tensors [B, width] in the structure of `state_size`.
      state_size: the cell's.
      widths: (width of c, width of h) per layer.
    """
    parts: list[tf.Tensor] = []
    for leaf, leaf_widths in zip(tf.nest.flatten(state), _leaf_widths(state_size, widths)):
        parts += [leaf] if len(leaf_widths) == 1 else tf.split(leaf, leaf_widths, axis=1)
    return [LSTMStateTuple(*pair) for pair in zip(parts[::2], parts[1::2])]


def pack(states: Sequence[LSTMStateTuple], state_size: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """Returns pairs (c, h) as the state of a cell: the inverse of `unpack`."""
    parts = iter([part for state in states for part in state])
    leaves = []
    for leaf_widths in _leaf_widths(state_size, widths):
        leaf = [next(parts) for _ in leaf_widths]
        leaves.append(leaf[0] if len(leaf) == 1 else tf.concat(leaf, axis=1))
    return tf.nest.pack_sequence_as(state_size, leaves)


def places(state_size: Any, widths: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns where c and h of each layer are in a state: [c of layer 1, h of layer 1, c of layer 2, ...].

    Args:
      state_size: the cell's.
      widths: (width of c, width of h) per layer.

    Returns:
      List of (number of the tensor in the flat state, first column).
    """
    pairs = []
    for leaf, leaf_widths in enumerate(_leaf_widths(state_size, widths)):
        pairs += [(leaf, sum(leaf_widths[:k])) for k in range(len(leaf_widths))]
    return pairs


def _leaf_widths(state_size: Any, widths: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Yields, for each tensor of a state, the widths of the parts that are side by side in it."""
    remaining = iter([width for pair in widths for width in pair])
    for size in tf.nest.flatten(state_size):
        leaf_widths: list[int] = []
        while sum(leaf_widths) < size:
            leaf_widths.append(next(remaining))
        yield leaf_widths
