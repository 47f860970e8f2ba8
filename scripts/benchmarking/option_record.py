"""The tables of a benchmark of options."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from benchmarking import record
from benchmarking.options import OptionAt
from benchmarking.worker import Worker

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
_NATIVE, _PLAIN = "native", "plain"


def summarize(option: OptionAt, mode: str, device: str, dtype: str, workers: Sequence[Worker]) -> list[dict[str, Any]]:
    """Returns a row per contestant: the keys of `COLUMNS`, `dtype`, `device`, `steps` and `library`."""
    medians = {worker.name: float(np.median(worker.milliseconds)) for worker in workers}
    return [
        {
            "option": option.name,
            "shape": str(option.shape),
            "mode": mode,
            "dtype": dtype,
            "device": device,
            "contestant": worker.name,
            "library": worker.library,
            "steps": len(worker.milliseconds),
            "median_ms": medians[worker.name],
            "p10_ms": float(np.percentile(worker.milliseconds, 10)),
            "megabytes": worker.megabytes,
            "times_plain": medians[worker.name] / medians[_PLAIN] if _PLAIN in medians else None,
        }
        for worker in workers
    ]


def print_record(rows: Sequence[dict[str, Any]], machine: str) -> None:
    """Prints the second table: a row per option, shape and mode, a column per contestant; then native's ratios."""
    names = list(dict.fromkeys(row["contestant"] for row in rows))
    peers = [name for name in names if name not in (_PLAIN, _NATIVE)]
    cells: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        cells.setdefault((row["option"], row["shape"], row["mode"]), {})[row["contestant"]] = row
    record.print_caption(rows, machine)
    ratios = [f"{_NATIVE}: times {_PLAIN}", *(f"{_NATIVE}: times as fast as {name}" for name in peers)]
    record.print_header(["option", "T,B,I,H,L", "mode", *names, *ratios])
    for place, measured in cells.items():
        native = measured.get(_NATIVE, {})
        medians = [record.cell(measured.get(name, {}), "median_ms", ".3f") for name in names]
        both = [name in measured and bool(native) for name in peers]
        times = [
            f"{measured[name]['median_ms'] / native['median_ms']:.2f}" if is_both else ""
            for name, is_both in zip(peers, both)
        ]
        record.print_row([*place, *medians, record.cell(native, "times_plain", ".2f"), *times])
