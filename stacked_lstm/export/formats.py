"""The table of formats; a new one is a module with the functions `save` and `run`, and an entry here.

  save(frozen, path, example): writes a file or a folder. `frozen` is a `frozen.Frozen`; `example` is a dictionary from
    the names of the inputs to arrays.
  run(path, example, outputs): returns a dictionary from the names `outputs` to the arrays that the program which the
    format is for computes.

The module, and the libraries that it needs, are imported when the format is first used.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple


class Format(NamedTuple):
    """How files of one kind are written.

    Fields:
      module: name of the module in `stacked_lstm.export`.
      suffix: the ending of the name; empty for folders.
      packages: names of the packages that write and run such files.
    """

    module: str
    suffix: str
    packages: tuple[str, ...]

    def functions(self) -> Any:
        """Imports the module."""
        return importlib.import_module(f"stacked_lstm.export.{self.module}")


FORMATS = {
    "frozen_graph": Format("frozen_graph", ".pb", ("tensorflow",)),
    "saved_model": Format("saved_model", "", ("tensorflow",)),
    "onnx": Format("onnx_file", ".onnx", ("onnx", "tf2onnx", "onnxruntime")),
    "tflite": Format("tflite", ".tflite", ("ai_edge_litert",)),
}
