"""The tables of a benchmark of cells."""

from __future__ import annotations

from typing import Mapping, Sequence

from benchmarking.contestants import AUTO, TENSORFLOW
from benchmarking.processes.worker import Worker
from benchmarking.records import record
from benchmarking.records.record import Row, ratio
from benchmarking.subjects.cells import CellAt

COLUMNS = (
    ("cell", "cell", ""),
    ("shape", "T,B,I,H,L", ""),
    ("mode", "mode", ""),
    ("contestant", "contestant", ""),
    ("median_ms", "median ms", ".4f"),
    ("p10_ms", "p10 ms", ".4f"),
    ("megabytes", "MB", ".0f"),
    ("times_tensorflow", "times as fast as tensorflow", ".2f"),
)


def subject(cell_at: CellAt) -> Row:
    """The keys of a cell at a shape."""
    return {"cell": cell_at.name, "shape": str(cell_at.shape), "dtype": cell_at.shape.dtype}


def values(cell_at: CellAt, mode: str, worker: Worker, medians: Mapping[str, float]) -> Row:
    """The ratio to TensorFlow's cell."""
    return {"times_tensorflow": ratio(medians, TENSORFLOW, worker.name)}


def print_record(rows: Sequence[Row], machine: str) -> None:
    """Prints the second table: a row per cell, shape and mode, with the times of a call."""
    places = {"cell": "cell", "shape": "T,B,I,H,L", "mode": "mode"}
    names = [name for name in (AUTO, TENSORFLOW) if any(row["contestant"] == name for row in rows)]
    ends = [("times_tensorflow", f"{AUTO}: times as fast as {TENSORFLOW}", ".2f")]
    record.print_places(rows, machine, places, names, AUTO, ends, ".4f")


TABLES = record.Tables(COLUMNS, subject, values, print_record)
