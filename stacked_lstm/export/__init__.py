"""Models for programs without this package: frozen graphs, SavedModels, ONNX and TFLite.

    export.onnx(session, {"ids": ids}, {"scores": scores}, "model.onnx")

`writing.py` has these functions, and `formats.py` the table of formats. `npz` writes the layers for a process that has
only NumPy; see `stacked_lstm.runtime`.
"""

from stacked_lstm.export.formats import FORMATS
from stacked_lstm.export.npz_file import npz
from stacked_lstm.export.writing import format_of, frozen_graph, onnx, saved_model, tflite, write

__all__ = ["FORMATS", "format_of", "frozen_graph", "npz", "onnx", "saved_model", "tflite", "write"]
