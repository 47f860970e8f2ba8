"""What a child process sends to its parent: values that JSON can hold, arrays, and errors. Nothing is unpickled."""

from __future__ import annotations

import io
import json
import zipfile
from typing import IO, Any, NoReturn

import numpy as np

from stacked_lstm.checkpoints.safety.files import Arrays
from stacked_lstm.checkpoints.safety.limits import LimitError

_ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (LimitError, ValueError, TypeError, ImportError, MemoryError)
}


def send(values: Any, arrays: Arrays, file: IO[bytes]) -> None:
    """Writes the result of a child process.

    Args:
      values: what JSON can hold.
      arrays: dictionary from names to arrays. They may be numbers, texts of bytes, or numbers of TensorFlow's dtypes.
      file: where to write.
    """
    plain: list[np.ndarray] = []
    entries = []
    for name, array in arrays.items():
        entry = {"name": name, "first": len(plain)}
        if array.dtype.kind == "O":
            texts = [bytes(text) for text in array.ravel()]
            entry["shape"] = array.shape
            plain += [np.array([len(text) for text in texts], np.int64), np.frombuffer(b"".join(texts), np.uint8)]
        elif array.dtype.kind == "V" and array.dtype.names is None and array.dtype != np.dtype(array.dtype.str):
            entry["dtype"] = array.dtype.name  # Such as bfloat16, which NumPy's files do not know.
            plain.append(array.view(f"u{array.dtype.itemsize}"))
        else:
            plain.append(array)
        entries.append(entry)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("values", json.dumps([values, entries]))
        for k, array in enumerate(plain):
            with archive.open(str(k), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def receive(file: IO[bytes]) -> tuple[Any, Arrays]:
    """Reads what `send` wrote: returns (values, arrays)."""
    arrays: Arrays = {}
    with zipfile.ZipFile(file) as archive:
        values, entries = json.loads(archive.read("values").decode())

        def plain(k: int) -> np.ndarray:
            with archive.open(str(k)) as member:
                array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
                return array

        for entry in entries:
            array = plain(entry["first"])
            if "shape" in entry:
                stream = io.BytesIO(plain(entry["first"] + 1).tobytes())
                texts = np.empty(len(array), object)
                texts[:] = [stream.read(count) for count in array]
                array = texts.reshape(entry["shape"])
            elif "dtype" in entry:
                array = array.view(_extended_dtype(entry["dtype"]))
            arrays[entry["name"]] = array
    return values, arrays


def _extended_dtype(name: str) -> np.dtype:
    """A dtype that TensorFlow adds to NumPy."""
    try:
        import ml_dtypes  # Newer versions of TensorFlow install it.

        return np.dtype(getattr(ml_dtypes, name))
    except ImportError:
        from stacked_lstm.compat import tf

        return np.dtype(tf.as_dtype(name).as_numpy_dtype)


def error_values(error: Exception) -> dict[str, str]:
    """An error as `send` can send it."""
    kind = next((name for name, kind in _ERRORS.items() if isinstance(error, kind)), "RuntimeError")
    return {"error": kind, "text": str(error)}


def raise_error(values: dict[str, str]) -> NoReturn:
    """Raises the error of `error_values` again."""
    raise _ERRORS.get(values["error"], RuntimeError)(values["text"])
