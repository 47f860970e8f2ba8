"""`Plan`: what `write` would write."""

from __future__ import annotations

import os
from typing import NamedTuple

from stacked_lstm import checks
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.layers import Location, check_fits
from stacked_lstm.checkpoints.safety import atomic_files, files, limits
from stacked_lstm.checkpoints.safety.files import Content


class Plan(NamedTuple):
    """What `write` would write; `plan` makes it.

    Fields:
      path: the file, or the prefix of a TensorFlow checkpoint.
      codec: the functions that read and write such a file, a `codec.Codec`.
      content: everything that the file will hold, a `files.Content`.
      locations: list of `Location`: where the layers will be in it.

    Example:
      >>> weights = {name: np.zeros([5, 3], np.float32) for name in ("Wf", "Wi", "Wo", "Wc")}
      >>> plan = stacked_lstm.checkpoints.plan("lstm.npz", [weights])
      >>> plan
      <Plan lstm.npz: 1 layer, 2 arrays>
      >>> plan.write()
      >>> stacked_lstm.checkpoints.read("lstm.npz").layers
      [<CheckpointLayer l0: layout pytorch, input size 2, hidden size 3, forward>]
    """

    path: str
    codec: Codec
    content: Content
    locations: list[Location]

    def __repr__(self) -> str:
        count, arrays = len(self.locations), len(self.content.arrays)
        return f"<Plan {self.path}: {count} layer{'s' * (count > 1)}, {arrays} array{'s' * (arrays > 1)}>"

    def write(self, overwrite: bool = False) -> None:
        """Writes the file completely, or raises ValueError as `write` does and changes nothing.

        Args:
          overwrite: whether an existing file may be replaced.
        """
        atomic_files.write(self.path, self.content, self.codec.save, self._load, overwrite)
        self.codec.finish(os.path.realpath(self.path))

    def _load(self, path: str) -> Content:
        """Reads what was written to a temporary path; raises ValueError if the layers cannot be found there."""
        content = self.codec.load(path, limits.UNLIMITED)
        with files.file_errors(self.path, "layers that can be found again", "checkpoints.write"):
            layouts = {frozenset(_names(location)): location.layout for location in self.codec.find(content, self.path)}
        for location in self.locations:
            layout = layouts.get(frozenset(_names(location)))
            if layout is None:
                checks.fail("checkpoints.write", "`scope` to be a name by which layers can be found", location.name)
            if layout != location.layout:
                expected = f"`scope` to be a name of layers of the layout {location.layout}"
                advice = "; the format rnn_cell with forget_bias=0 writes the same variables"
                actual = f"{location.name}, which is read as the layout {layout}"
                checks.fail("checkpoints.write", expected, actual + advice * (location.layout == "cudnn_compatible"))
            check_fits(location, content.arrays, self.path, "names")
        return content


def _names(location: Location) -> set[str]:
    """The names of a layer's arrays in the file, with those of its initial state."""
    return {*location.array_names.values(), *location.initial_state.values()}
