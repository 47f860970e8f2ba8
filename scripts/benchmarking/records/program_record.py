"""The tables of a benchmark of programs."""

from __future__ import annotations

from typing import Mapping, Sequence

from benchmarking.contestants import AUTO, PROGRAM_CONTESTANTS, STEPWISE, TENSORFLOW
from benchmarking.processes.worker import Worker
from benchmarking.records import record
from benchmarking.records.record import Row, ratio
from benchmarking.subjects.shapes import DTYPES
from programs import Program

COLUMNS = (
    ("program", "program", ""),
    ("part", "part", ""),
    ("mode", "mode", ""),
    ("contestant", "contestant", ""),
    ("engines", "engine of each loop", ""),
    ("build_seconds", "s to build the graph", ".2f"),
    ("ops", "ops", ""),
    ("median_ms", "median ms", ".3f"),
    ("p10_ms", "p10 ms", ".3f"),
    ("megabytes", "MB", ".0f"),
    ("times_stepwise", "times as fast as stepwise", ".2f"),
    ("times_tensorflow", "as tensorflow", ".2f"),
)


def subject(program: Program) -> Row:
    """The keys of a program."""
    return {"program": program.name, "part": program.part, "dtype": DTYPES[0]}


def values(program: Program, mode: str, worker: Worker, medians: Mapping[str, float]) -> Row:
    """What the step says about itself, and ratios."""
    facts = worker.facts or {}
    return {
        "engines": ", ".join(facts["engines"]),
        "build_seconds": facts["build_seconds"],
        "ops": facts["ops"],
        "times_stepwise": ratio(medians, STEPWISE, worker.name),
        "times_tensorflow": ratio(medians, TENSORFLOW, worker.name),
    }


def print_record(rows: Sequence[Row], machine: str) -> None:
    """Prints the second table: a row per program, part and mode, a column per contestant.

    Args:
      rows: what `record.summarize` returns, of all programs and modes, on one device.
      machine: what `record.describe_machine` returns.
    """
    names = [name for name in PROGRAM_CONTESTANTS if any(row["contestant"] == name for row in rows)]
    peers = [name for name in (STEPWISE, TENSORFLOW) if name in names]
    ends = [(f"times_{name}", f"{AUTO}: times as fast as {name}", ".2f") for name in peers]
    places = {key: key for key in ("program", "part", "mode")}
    record.print_places(rows, machine, places, names, AUTO, [*ends, ("engines", f"engines of {AUTO}", "")])


TABLES = record.Tables(COLUMNS, subject, values, print_record)
