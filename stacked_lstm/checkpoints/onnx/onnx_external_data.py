"""Tensors of an ONNX model whose numbers are in files beside it."""

from __future__ import annotations

import os

from stacked_lstm.checkpoints.onnx.onnx_graphs import Model
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.limits import Budget


def embed(model: Model, path: str, budget: Budget) -> None:
    """Reads the numbers of all tensors into the model.

    Args:
      model: a model that was loaded without external data.
      path: its file. The numbers must be in regular files of the same folder, or of folders in it.
      budget: the bytes that the numbers of all tensors may take, also of those that are in the model.

    Raises:
      ValueError: a name or a link that leads out of the folder, or a place that is not in the file.
    """
    for tensor in model.tensors():
        if tensor.data_location == model.onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            tensor.raw_data = _read(path, tensor.name, entries, budget)
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
        else:
            budget.spend(tensor.ByteSize(), tensor.name)


def _read(path: str, name: str, entries: dict[str, str], budget: Budget) -> bytes:
    folder = os.path.realpath(os.path.dirname(path) or ".")
    file = os.path.realpath(os.path.join(folder, entries["location"]))
    if os.path.commonpath([folder, file]) != folder:
        raise ValueError(f"the data of {name} in {entries['location']!r}, which is outside of the folder {folder}")
    with files.open_regular(file) as data:
        size = os.fstat(data.fileno()).st_size
        start = int(entries.get("offset", 0))
        length = int(entries.get("length", size - start))
        if not 0 <= start <= start + length <= size:
            raise ValueError(f"the data of {name} at {start} to {start + length} of a file of {size} bytes")
        budget.spend(length, name)
        data.seek(start)
        return data.read(length)
