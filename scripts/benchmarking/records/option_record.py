"""The tables of a benchmark of options."""

from __future__ import annotations

from typing import Mapping, Sequence

from benchmarking.contestants import PLAIN
from benchmarking.processes.worker import Worker
from benchmarking.records import record
from benchmarking.records.record import Row, cell
from benchmarking.subjects.options import OptionAt

COLUMNS = (
    ("option", "option", ""),
    ("shape", "T,B,I,H,L", ""),
    ("mode", "mode", ""),
    ("contestant", "contestant", ""),
    ("median_ms", "median ms", ".3f"),
    ("p10_ms", "p10 ms", ".3f"),
    ("megabytes", "MB", ".0f"),
    ("times_plain", "times plain", ".2f"),
)
# "auto" selects these engines for most options. cuDNN supports few options.
ENGINE_OF_DEVICE = {"CPU": "native", "GPU": "graph"}


def subject(option: OptionAt) -> Row:
    """The keys of an option at a shape."""
    return {"option": option.name, "shape": str(option.shape), "dtype": option.shape.dtype}


def values(option: OptionAt, mode: str, worker: Worker, medians: Mapping[str, float]) -> Row:
    """The cost of the option."""
    return {"times_plain": medians[worker.name] / medians[PLAIN] if PLAIN in medians else None}


def print_record(rows: Sequence[Row], machine: str) -> None:
    """Prints the second table: a row per option, shape and mode, a column per contestant; then the engine's ratios."""
    engine = ENGINE_OF_DEVICE[rows[0]["device"]] if rows else ""
    names = list(dict.fromkeys(row["contestant"] for row in rows))
    peers = [name for name in names if name not in (PLAIN, engine)]
    record.print_caption(rows, machine)
    ratios = [f"{engine}: times {PLAIN}", *(f"{engine}: times as fast as {name}" for name in peers)]
    record.print_header(["option", "T,B,I,H,L", "mode", *names, *ratios])
    for place, measured in record.by_place(rows, ("option", "shape", "mode")).items():
        medians = {name: row["median_ms"] for name, row in measured.items()}
        times = [medians[name] / medians[engine] if {name, engine} <= set(medians) else None for name in peers]
        record.print_row(
            [
                *place,
                *(cell(medians, name, ".3f") for name in names),
                cell(measured.get(engine, {}), "times_plain", ".2f"),
                *("" if time is None else f"{time:.2f}" for time in times),
            ]
        )


TABLES = record.Tables(COLUMNS, subject, values, print_record)
