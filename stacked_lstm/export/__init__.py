"""Models for programs without this package: frozen graphs, SavedModels, ONNX and TFLite.

    export.write("model.onnx", session, {"ids": ids}, {"scores": scores}, example={"ids": some_ids})

`writing.py` has `write`, `formats.py` the table of formats. For processes with NumPy alone, see `stacked_lstm.runtime`.
"""

from stacked_lstm.export.formats import FORMATS
from stacked_lstm.export.writing import write

__all__ = ["FORMATS", "write"]
