"""The tables of a benchmark of shapes."""

from __future__ import annotations

from typing import Mapping, Sequence

from benchmarking.contestants import CONTESTANTS, ENGINE_OF_DEVICE, PEERS
from benchmarking.processes.worker import Worker
from benchmarking.records import record
from benchmarking.records.record import Row, ratio
from benchmarking.subjects.shapes import Shape

COLUMNS = (
    ("shape", "T,B,I,H,L", ""),
    ("mode", "mode", ""),
    ("contestant", "contestant", ""),
    ("median_ms", "median ms", ".3f"),
    ("p10_ms", "p10 ms", ".3f"),
    ("gflops", "GFLOP/s", ".1f"),
    ("percent_of_gemm", "% of gemm", ".0f"),
    ("megabytes", "MB", ".0f"),
    ("times_dynamic_rnn", "times as fast as dynamic_rnn", ".2f"),
    ("times_fastest_peer", "as the fastest peer", ".2f"),
)


def subject(shape: Shape) -> Row:
    """The keys of a shape."""
    return {"shape": str(shape), "dtype": shape.dtype}


def values(shape: Shape, mode: str, worker: Worker, medians: Mapping[str, float]) -> Row:
    """The rate of the matrix multiplications, and ratios."""
    median, computes = medians[worker.name], worker.name != "nothing"
    return {
        "gflops": shape.operations(mode) / median / 1e6 if computes else None,
        "percent_of_gemm": 100 * medians["gemm"] / median if computes and "gemm" in medians else None,
        "times_dynamic_rnn": ratio(medians, "dynamic_rnn", worker.name),
        "times_fastest_peer": times_fastest_peer(worker, medians),
    }


def times_fastest_peer(worker: Worker, medians: Mapping[str, float]) -> float | None:
    """How many times as fast as the fastest peer a contestant is; None if no peer was measured."""
    fastest = min((name for name in PEERS if name in medians), key=medians.__getitem__, default="")
    return ratio(medians, fastest, worker.name)


def print_record(rows: Sequence[Row], machine: str) -> None:
    """Prints the second table: a row per shape and mode, a column per contestant.

    Args:
      rows: what `record.summarize` returns, of all shapes and modes, on one device.
      machine: what `record.describe_machine` returns.
    """
    names = [name for name in CONTESTANTS if any(row["contestant"] == name for row in rows)]
    engine = ENGINE_OF_DEVICE[rows[0]["device"]] if rows else ""
    ends = [
        ("times_fastest_peer", f"{engine}: times as fast as the fastest peer", ".2f"),
        ("percent_of_gemm", f"{engine}: % of gemm", ".0f"),
    ]
    record.print_places(rows, machine, {"shape": "T,B,I,H,L", "mode": "mode"}, names, engine, ends)


TABLES = record.Tables(COLUMNS, subject, values, print_record)
