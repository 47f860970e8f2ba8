"""The arrays of an HDF5 file that may come from a stranger.

HDF5 can refer to other files of the machine: by external storage, by virtual datasets and by external links. Files
that do are refused before anything of them is opened. Groups are walked without recursion.
"""

from __future__ import annotations

from typing import Any, Iterator

import numpy as np

from stacked_lstm.checkpoints.safety.limits import Budget

_DEEPEST = 64  # Groups within groups.


def arrays_of(h5py: Any, hdf5: Any, budget: Budget) -> dict[str, np.ndarray]:
    """Names -> arrays of a file, by address: the order in which they were written.

    Datasets of texts with a variable length are left out, as no layer has them.

    Args:
      h5py: the package.
      hdf5: the open file.
      budget: the bytes that the arrays may take.

    Raises:
      ValueError: the file refers to other files, or its groups are nested too deeply.
      LimitError: the arrays are too large.
    """
    datasets = sorted(_datasets(h5py, hdf5.id), key=lambda entry: entry[0])
    arrays = {}
    for _, name, identifier in datasets:
        dataset = h5py.Dataset(identifier)
        if dataset.dtype.kind != "O":
            budget.spend(float(np.prod(dataset.shape or (), dtype=np.float64)) * dataset.dtype.itemsize, name)
            arrays[name] = np.asarray(dataset[()])
    return arrays


def _datasets(h5py: Any, root: Any) -> Iterator[tuple[int, str, Any]]:
    """(address, name, identifier) of every dataset. An object with several names is visited once."""
    stack, seen = [(root, "", 0)], set()
    while stack:
        group, path, depth = stack.pop()
        if depth > _DEEPEST:
            raise ValueError(f"groups more than {_DEEPEST} deep")
        names: list[bytes] = sorted(group)
        for name in reversed(names):
            place = path + name.decode()
            kind = group.links.get_info(name).type
            if kind == h5py.h5l.TYPE_SOFT:
                continue  # It leads to an object of this file, since there are no external links.
            if kind != h5py.h5l.TYPE_HARD:
                raise ValueError(f"{place}, which is a link to another file")
            address = h5py.h5o.get_info(group, name).addr
            if address in seen:
                continue
            seen.add(address)
            item = h5py.h5o.open(group, name)
            if isinstance(item, h5py.h5g.GroupID):
                stack.append((item, place + "/", depth + 1))
            elif isinstance(item, h5py.h5d.DatasetID):
                _check_storage(h5py, item, place)
                yield address, place, item


def _check_storage(h5py: Any, dataset: Any, name: str) -> None:
    properties = dataset.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise ValueError(f"{name}, whose numbers are in another file")
