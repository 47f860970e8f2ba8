"""`LayerArrays`: the arrays of a stack's layers, and what these arrays do not tell about the stack."""

from __future__ import annotations

from typing import Any, Collection, Iterable, Mapping

from stacked_lstm import checks

# Layer normalization whose cell state stays as it is. The arrays are the same with `layer_norm="tensorflow"`.
NORM_OF_OUTPUT = "layer_norm=True"


class LayerArrays(list):
    """A list with a dictionary of arrays per layer, as `get_weights` returns it.

    A writer raises an error if its file format does not have the options, or if it is not told the initial state.
    `list(layers)` has only the arrays.

    Attributes:
      options: list of str, the options of the stack that have no arrays, such as ["residual", "zoneout_h"].
      activations: the names of `activation` and `recurrent_activation`; None if they are not known.
      has_initial_state: bool, whether the stack has weights for its initial state.
    """

    def __init__(
        self,
        layers: Iterable[Mapping[str, Any]],
        options: Iterable[str] = (),
        activations: tuple[str, str] | None = None,
        has_initial_state: bool = False,
    ) -> None:
        super().__init__(layers)
        self.options = list(options)
        self.activations = activations
        self.has_initial_state = has_initial_state

    def __add__(self, other: Any) -> Any:
        """Returns the layers of two stacks, such as both directions, with the options of both."""
        if not isinstance(other, LayerArrays):
            return super().__add__(other)
        activations = self.activations if self.activations == other.activations else None
        has_initial_state = self.has_initial_state or other.has_initial_state
        options = dict.fromkeys([*self.options, *other.options])
        return LayerArrays([*self, *other], options, activations, has_initial_state)


def check_options(layers: Any, known: Collection[str], program: str, function: str) -> None:
    """Raises ValueError if layers are those of a stack with options that a program does not have.

    Args:
      layers: `LayerArrays`. Other lists have no options.
      known: names of the options that the program may have.
      program: what the file is for, for the message.
      function: what the message names.
    """
    names = [f"`{name}`" for name in getattr(layers, "options", ()) if name not in known]
    if names:
        expected = f"`layers` without options that {program} does not have"
        checks.fail(function, expected, f"{' and '.join(names)}; list(layers) has the arrays alone")


def check_initial_state(layers: Any, initial_state: Any, function: str) -> None:
    """Raises ValueError if a stack has weights for its initial state, and `initial_state` is None."""
    if initial_state is None and getattr(layers, "has_initial_state", False):
        expected = (
            "`initial_state`, because the stack of these layers has one: what `get_weights` returns, or [] for zeros"
        )
        checks.fail(function, expected, "none")


def check_activations(names: tuple[str, str] | None, implied: tuple[str, str] | None, function: str) -> None:
    """Raises ValueError if a file implies other activations than those of a stack.

    Args:
      names: the `activations` of the stack's `LayerArrays`; None if they are not known.
      implied: the names that the file implies; None if it implies none.
      function: what the message names.
    """
    if names and implied and names != implied:
        expected = f"`layers` of a stack with the activations {' and '.join(implied)}"
        problem = f"{' and '.join(names)}; write this stack with runtime.save, which stores the activations"
        checks.fail(function, expected, problem)
