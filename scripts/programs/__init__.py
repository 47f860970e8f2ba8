"""Public programs for TensorFlow 1, which the benchmark measures. `PROGRAMS` is their table.

Each program is written anew, in the style of the public one: embedding, cells, wrappers and loops, a loss, clipping by
the global norm, and its optimizer, at its own sizes. The benchmark measures the whole program, or its recurrent part:
`graph.recurrent_part`. A program is a module with

  Config: a NamedTuple of sizes and probabilities. The defaults are those of the public program.
  build(names, config, training): adds the program to the default graph, and returns a `graph.ProgramGraph`.

`names` has cells and loops under the names of TensorFlow 1: those of this package, or TensorFlow's own; see `names.py`.
The source is the same for both. A new program is a module and a line in `PROGRAMS`.

This module imports no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from shared.options import chosen_names

PARTS = ("recurrent", "whole")


class Program(NamedTuple):
    """A row of the benchmark.

    Fields:
      name: the key in `PROGRAMS`.
      module: the module of this package that builds it.
      sizes: values of the `Config` that differ from its defaults.
      part: what is measured, one of `PARTS`.
    """

    name: str
    module: str
    sizes: dict[str, Any] = {}
    part: str = PARTS[0]

    def config(self) -> Any:
        """The `Config` of the program. This imports TensorFlow."""
        return self._module().Config(**self.sizes)

    def build(self, names: Any, training: bool) -> Any:
        """Adds the program to the default graph; returns a `graph.ProgramGraph`."""
        return self._module().build(names, self.config(), training)

    def _module(self) -> Any:
        return importlib.import_module(f"programs.{self.module}")


_MEDIUM = {"hidden_size": 650, "num_steps": 35, "keep_prob": 0.5, "init_scale": 0.05}

PROGRAMS = {
    program.name: program
    for program in (
        Program("ptb_small", "ptb"),
        Program("ptb_small_block", "ptb", {"cell": "LSTMBlockCell"}),
        Program("ptb_medium", "ptb", _MEDIUM),
        Program("ptb_medium_block", "ptb", dict(_MEDIUM, cell="LSTMBlockCell")),
        Program("char_rnn", "char_rnn"),
        Program("char_rnn_dynamic", "char_rnn_dynamic"),
        Program("tagger", "tagger"),
        Program("elmo_small", "elmo", {"dim": 1024, "projection_dim": 128}),
        Program("elmo", "elmo", {"batch_size": 32}),
        Program("nmt_encoder", "nmt_encoder"),
    )
}


def parse(names: list[str], part: str = PARTS[0]) -> list[Program]:
    """Returns a part of the programs with these names; "all" stands for all of them.

    Raises:
      ValueError: there is no such program.
    """
    return [PROGRAMS[name]._replace(part=part) for name in chosen_names("programs", names, PROGRAMS)]
