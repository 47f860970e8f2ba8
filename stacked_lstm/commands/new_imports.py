"""The statements that a moved program needs after its imports: modules of this package, and TensorFlow 1."""

from __future__ import annotations

import itertools
from typing import Iterable

from stacked_lstm.commands import old_names

# Module of this package -> its name in a moved program.
ALIASES = {
    old_names.RNN_CELL: "tf1_rnn",
    old_names.SEQ2SEQ: "tf1_seq2seq",
    old_names.LEGACY_SEQ2SEQ: "tf1_legacy_seq2seq",
    old_names.CRF: "tf1_crf",
    old_names.LAYERS: "tf1_layers",
}


class NewImports:
    """Gathers what a moved program uses.

    Attributes:
      tensorflow: str, the name under which the program imports TensorFlow; None without such an import.
      uses_tensorflow: bool, whether the moved program uses TensorFlow.
      disables_v2: bool, whether the program itself calls `disable_v2_behavior`.
    """

    def __init__(self) -> None:
        self.tensorflow: str | None = None
        self.uses_tensorflow = False
        self.disables_v2 = False
        self._aliases = dict(ALIASES)
        self._imported: set[str] = set()  # Modules of this package that the program imports itself.
        self._used: set[str] = set()

    def read_names(self, names: Iterable[str], imported: dict[str, str]) -> None:
        """Reads the names that the program has.

        Args:
          names: all names. A module of this package gets none of them, unless the program imports it under this name.
          imported: name at the top of the program -> the complete name of the module that it imports.
        """
        for module, alias in ALIASES.items():
            candidates = itertools.chain([alias], (f"{alias}_{k}" for k in itertools.count(2)))
            free = (name for name in candidates if name not in names or imported.get(name) == module)
            self._aliases[module] = next(free)
        self._imported = {module for module, alias in self._aliases.items() if imported.get(alias) == module}

    def use(self, module: str) -> str:
        """Returns the name of a module of this package, and sees to it that the program imports it."""
        self._used.add(module)
        return self._aliases[module]

    def statements(self) -> list[str]:
        """Returns the statements that the program needs after its imports."""
        lines = []
        if self.uses_tensorflow and not self.tensorflow:
            lines.append("import tensorflow.compat.v1 as tf")
        for module, alias in self._aliases.items():
            if module in self._used - self._imported:
                package, name = old_names.split(module)
                lines.append(f"from {package} import {name} as {alias}")
        if (self.uses_tensorflow or self.tensorflow) and not self.disables_v2:
            lines.append(f"{self.tensorflow or 'tf'}.disable_v2_behavior()")
        return lines
