"""The tables of a benchmark of several numbers of threads."""

from __future__ import annotations

from typing import Mapping, Sequence

from benchmarking.processes.worker import Worker
from benchmarking.records import record, shape_record
from benchmarking.records.record import Row, cell
from benchmarking.subjects.threads import ShapeOnThreads

COLUMNS = (
    ("shape", "T,B,I,H,L", ""),
    ("threads", "threads", ""),
    ("mode", "mode", ""),
    ("contestant", "contestant", ""),
    ("median_ms", "median ms", ".3f"),
    ("p10_ms", "p10 ms", ".3f"),
    ("gflops", "GFLOP/s", ".1f"),
    ("times_fastest_peer", "times as fast as the fastest peer", ".2f"),
)


def subject(measured: ShapeOnThreads) -> Row:
    """The keys of a shape and a number of threads."""
    return {**shape_record.subject(measured.shape), "threads": measured.threads}


def values(measured: ShapeOnThreads, mode: str, worker: Worker, medians: Mapping[str, float]) -> Row:
    """The values of a shape."""
    return shape_record.values(measured.shape, mode, worker, medians)


def print_record(rows: Sequence[Row], machine: str) -> None:
    """Prints the second table: a row per shape, mode and contestant.

    It has the median for each number of threads n, and the speed-up over the smallest number N. The percentage after a
    speed-up is the efficiency: the speed-up divided by n / N.
    """
    counts = sorted({row["threads"] for row in rows})
    record.print_caption(rows, machine)
    speed_ups = [f"{count}: times as fast as {counts[0]}" for count in counts[1:]]
    record.print_header(["T,B,I,H,L", "mode", "contestant", *(f"threads: {count}" for count in counts), *speed_ups])
    keys = ("shape", "mode", "contestant")
    for place, measured in record.by_place(rows, keys, column="threads").items():
        medians = {count: row["median_ms"] for count, row in measured.items()}
        ratios = [_speed_up(medians, counts[0], count) for count in counts[1:]]
        record.print_row([*place, *(cell(medians, count, ".3f") for count in counts), *ratios])


def _speed_up(medians: Mapping[int, float], base: int, count: int) -> str:
    if not {base, count} <= set(medians):
        return ""
    speed_up = medians[base] / medians[count]
    return f"{speed_up:.2f} ({100 * speed_up * base / count:.0f}%)"


TABLES = record.Tables(COLUMNS, subject, values, print_record)
