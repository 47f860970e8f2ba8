"""The tables of a benchmark of programs. `record.py` has those of shapes, and the file of the measurements."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from benchmarking import record
from benchmarking.contestants import AUTO, PROGRAM_CONTESTANTS, STEPWISE, TENSORFLOW
from benchmarking.worker import Worker
from programs import Program


def summarize(program: Program, mode: str, device: str, dtype: str, workers: Sequence[Worker]) -> list[dict[str, Any]]:
    """Returns a row per contestant: the keys of `record.PROGRAM_COLUMNS`, `dtype`, `device`, `steps` and `library`.

    A value that does not exist is None.
    """
    medians = {worker.name: float(np.median(worker.milliseconds)) for worker in workers}

    def ratio(other: str, name: str) -> float | None:
        return medians[other] / medians[name] if other in medians else None

    return [
        {
            "program": program.name,
            "part": program.part,
            "mode": mode,
            "dtype": dtype,
            "device": device,
            "contestant": worker.name,
            "library": worker.library,
            "engines": ", ".join(worker.facts["engines"]),
            "build_seconds": worker.facts["build_seconds"],
            "ops": worker.facts["ops"],
            "steps": len(worker.milliseconds),
            "median_ms": medians[worker.name],
            "p10_ms": float(np.percentile(worker.milliseconds, 10)),
            "megabytes": worker.megabytes if device == "CPU" else None,
            "times_stepwise": ratio(STEPWISE, worker.name),
            "times_tensorflow": ratio(TENSORFLOW, worker.name),
        }
        for worker in workers
    ]


def print_record(rows: Sequence[dict[str, Any]], machine: str) -> None:
    """Prints the second table: a row per program, part and mode, a column per contestant.

    Args:
      rows: what `summarize` returns, of all programs and modes, on one device and in one dtype.
      machine: what `record.describe_machine` returns.
    """
    names = [name for name in PROGRAM_CONTESTANTS if any(row["contestant"] == name for row in rows)]
    cells: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        cells.setdefault((row["program"], row["part"], row["mode"]), {})[row["contestant"]] = row
    record.print_caption(rows, machine)
    peers = [name for name in (STEPWISE, TENSORFLOW) if name in names]
    record.print_header(
        [
            "program",
            "part",
            "mode",
            *names,
            *(f"{AUTO}: times as fast as {name}" for name in peers),
            f"engines of {AUTO}",
        ]
    )
    for (program, part, mode), measured in cells.items():
        row = measured.get(AUTO, {})
        medians = [record.cell(measured.get(name, {}), "median_ms", ".3f") for name in names]
        ratios = [record.cell(row, f"times_{name}", ".2f") for name in peers]
        record.print_row([program, part, mode, *medians, *ratios, row.get("engines", "")])
