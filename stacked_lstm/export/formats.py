"""The table of formats; a new one is a module with the functions `save` and `run`, and an entry here.

  save(frozen, path, example): writes a file or a folder. `frozen` is a `frozen.Frozen`; `example` is a dictionary from
    the names of the inputs to arrays. Arguments of the user that only some formats have follow by name.
  run(path, example, outputs): returns a dictionary from the names `outputs` to the arrays that the program which the
    format is for computes.

The module, and the libraries that it needs, are imported when the format is first used.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple


class Format(NamedTuple):
    """How files of one kind are written.

    Args:
      module: str, the name of the module in `stacked_lstm.export`.
      suffix: str, the ending of the name; empty for folders.
      packages: tuple of str, the packages that write and run such files.
      program: str, the program that runs such files, for messages.
      has_fixed_sizes: bool, whether such a file has the sizes of one example. Default False.
      quantizations: dictionary from the values of `quantize` to the largest difference that they may make; see
        `export.write`. Default: none.

    Example:
      >>> from stacked_lstm import export
      >>> export.FORMATS["onnx"].suffix
      '.onnx'
    """

    module: str
    suffix: str
    packages: tuple[str, ...]
    program: str
    has_fixed_sizes: bool = False
    quantizations: dict[str, float] = {}

    def functions(self) -> Any:
        """Imports the module."""
        return importlib.import_module(f"stacked_lstm.export.{self.module}")


FORMATS = {
    "frozen_graph": Format("frozen_graph_file", ".pb", ("tensorflow",), "TensorFlow"),
    "saved_model": Format("saved_model_folder", "", ("tensorflow",), "TensorFlow"),
    "onnx": Format("onnx_file", ".onnx", ("onnx", "tf2onnx", "onnxruntime"), "ONNX Runtime"),
    "tflite": Format(
        "tflite_file",
        ".tflite",
        ("ai_edge_litert",),
        "LiteRT",
        has_fixed_sizes=True,
        quantizations={"float16": 1e-2, "dynamic_range": 1e-1},
    ),
}
