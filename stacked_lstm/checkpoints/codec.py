"""What a kind of file must be able to do; each module of a format has one `CODEC`."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm.checkpoints.layers import Location, Weights
from stacked_lstm.checkpoints.safety.files import Arrays, Content


def accept(locations: Sequence[Location], arrays: Arrays, path: str, names_argument: str) -> None:
    """The `check_complete` of formats whose files do not tell."""


def imply_none(arrays: Arrays) -> tuple[str, str] | None:
    """The `activations` of formats whose files do not imply them."""
    return None


def do_nothing(path: str) -> None:
    """The `finish` of formats whose files need nothing after they are renamed."""


class Codec(NamedTuple):
    """The functions that read and write one kind of file.

    Fields:
      load: (path, max_bytes) -> `Content` with all arrays of the file. It must not ask for more memory than a
        `limits.Budget` of `max_bytes` allows, and must not read any other file of the machine.
      find: (content, path) -> list of `Location`, in the order of the network.
      create: (layers, initial_states, layout, scope, path) -> (`Content.container`, list of `Location`) of a new file
        with a plain stack. `layers` has for each layer a dictionary from the layout's array names to arrays;
        `initial_states` has for each layer the arrays of its initial state, none in a format that holds none; `scope`
        is the name or the prefix that the user wants, or None.
      save: (path, content, target): writes the file to `path`; it will be renamed to `target`.
      check_complete: (locations, arrays, path, name of the argument that selects layers): raises ValueError if the file
        shows that their network has other layers.
      activations: arrays of a file -> the names of `activation` and `recurrent_activation` that the file implies, or
        None. Without arrays: those that a new file implies.
      finish: path: what remains to be done when the file has its name.
    """

    load: Callable[[str, int | None], Content]
    find: Callable[[Content, str], list[Location]]
    create: Callable[[Sequence[Weights], Sequence[Weights], str, str | None, str], tuple[Any, list[Location]]]
    save: Callable[[str, Content, str], None]
    check_complete: Callable[[Sequence[Location], Arrays, str, str], None] = accept
    activations: Callable[[Arrays], tuple[str, str] | None] = imply_none
    finish: Callable[[str], None] = do_nothing
