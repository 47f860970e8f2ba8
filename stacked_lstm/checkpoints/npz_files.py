"""Named arrays in .npz files, without pickles and without more memory than the file allows."""

from __future__ import annotations

import re
import zipfile
from typing import Any, Iterable

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.files import Content
from stacked_lstm.checkpoints.safety.limits import Budget


def load(path: str, max_bytes: int | None) -> Content:
    """The `Content` of a file, without a container."""
    with files.file_errors(path, "arrays without pickles"), files.open_regular(path) as file:
        budget = Budget(path, max_bytes)
        with zipfile.ZipFile(file) as members:
            for info in members.infolist():
                budget.spend(info.file_size, info.filename)
            for info in members.infolist():
                _check_header(members, info)
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return Content({name: archive[name] for name in archive.files}, None)


def _check_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Raises ValueError if an array would be larger than its file, because NumPy allocates it before it reads."""
    with archive.open(info) as file:
        prefix = np.lib.format.MAGIC_PREFIX
        if file.read(len(prefix)) != prefix:
            return  # NumPy does not take it for an array.
        file.seek(0)
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if float(np.prod(shape, dtype=np.float64)) * dtype.itemsize > info.file_size:
        raise ValueError(f"{info.filename}, whose header declares the shape {shape} of {dtype}")


def array_names(path: str) -> list[str]:
    """The names of the arrays in a file, without reading the arrays."""
    with files.file_errors(path, "arrays without pickles"), files.open_regular(path) as file:
        with zipfile.ZipFile(file) as members:
            return [re.sub(r"\.npy$", "", name) for name in members.namelist()]


def save(path: str, content: Content, target: str) -> None:
    """Writes a file."""
    with open(path, "wb") as file:
        keywords: dict[str, Any] = dict(content.arrays)
        np.savez(file, **keywords)


def check_dtypes(arrays: Iterable[np.ndarray]) -> None:
    """Raises ValueError if an array is bfloat16, which NumPy reads as bytes."""
    if any(array.dtype.name == "bfloat16" for array in arrays):
        expected = "`layers` of a dtype that .npz files have"
        checks.fail("checkpoints.write", expected, "bfloat16; .safetensors files have it")
