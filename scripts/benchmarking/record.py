"""The tables of a benchmark, and the file of its measurements."""

from __future__ import annotations

import json
import os
import platform
import re
from typing import Any, Callable, Iterable, Sequence, Tuple

import numpy as np

from benchmarking.contestants import CONTESTANTS, ENGINE_OF_DEVICE, PEERS
from benchmarking.shapes import Shape
from benchmarking.worker import Worker
from stacked_lstm.commands import output_files

Columns = Sequence[Tuple[str, str, str]]

# Key in --json, heading and format of each column of the first table, of shapes and of programs.
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
PROGRAM_COLUMNS = (
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


def summarize(shape: Shape, mode: str, device: str, dtype: str, workers: Sequence[Worker]) -> list[dict[str, Any]]:
    """Returns a row per contestant: the keys of `COLUMNS`, `dtype`, `device`, `steps` and `library`.

    A value that does not exist is None.
    """
    medians = {worker.name: float(np.median(worker.milliseconds)) for worker in workers}
    fastest_peer = min((medians[name] for name in PEERS if name in medians), default=None)
    rows = []
    for worker in workers:
        median = medians[worker.name]
        row = {
            "shape": str(shape),
            "mode": mode,
            "dtype": dtype,
            "device": device,
            "contestant": worker.name,
            "library": worker.library,
            "steps": len(worker.milliseconds),
            "median_ms": median,
            "p10_ms": float(np.percentile(worker.milliseconds, 10)),
            "megabytes": worker.megabytes if device == "CPU" else None,  # The GPU has memory of its own.
            "gflops": None if worker.name == "nothing" else shape.operations(mode) / median / 1e6,
            "times_dynamic_rnn": medians["dynamic_rnn"] / median if "dynamic_rnn" in medians else None,
            "times_fastest_peer": fastest_peer / median if fastest_peer else None,
        }
        row["percent_of_gemm"] = 100 * medians["gemm"] / median if "gemm" in medians and row["gflops"] else None
        rows.append(row)
    return rows


def cell(row: dict[str, Any], key: str, form: str) -> str:
    """A value of a row as text; nothing for None."""
    value = row.get(key)
    return "" if value is None else format(value, form)


def print_row(cells: Iterable[str]) -> None:
    """Prints a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def print_header(headings: Sequence[str]) -> None:
    """Prints the first two lines of a Markdown table."""
    print_row(headings)
    print(f"|{'---|' * len(headings)}")


def print_rows(rows: Sequence[dict[str, Any]], columns: Columns) -> None:
    """Prints rows of a table. A column has a key, a heading and a format."""
    for row in rows:
        print_row(cell(row, key, form) for key, _, form in columns)


def print_caption(rows: Sequence[dict[str, Any]], machine: str) -> None:
    """Prints the sentence above the second table."""
    libraries = ", ".join(sorted({row["library"] for row in rows}))
    dtypes = ", ".join(sorted({row["dtype"] for row in rows}))
    print(f"\nMedians in milliseconds, {dtypes}. {machine}; {libraries}.\n")


def print_record(rows: Sequence[dict[str, Any]], machine: str) -> None:
    """Prints the second table: a row per shape and mode, a column per contestant.

    Args:
      rows: what `summarize` returns, of all shapes and modes, on one device and in one dtype.
      machine: what `describe_machine` returns.
    """
    names = [name for name in CONTESTANTS if any(row["contestant"] == name for row in rows)]
    engine = ENGINE_OF_DEVICE[rows[0]["device"]] if rows else ""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        cells.setdefault((row["shape"], row["mode"]), {})[row["contestant"]] = row
    print_caption(rows, machine)
    ratios = [f"{engine}: times as fast as the fastest peer", f"{engine}: % of gemm"]
    print_header(["T,B,I,H,L", "mode", *names, *ratios])
    for (shape, mode), measured in cells.items():
        row = measured.get(engine, {})
        medians = [cell(measured.get(name, {}), "median_ms", ".3f") for name in names]
        ends = [cell(row, "times_fastest_peer", ".2f"), cell(row, "percent_of_gemm", ".0f")]
        print_row([shape, mode, *medians, *ends])


def describe_machine(device: str) -> str:
    """The processor, its cores and Python's version; for a GPU its name and whether TF32 is on as well."""
    host = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if device == "CPU":
        return host
    from stacked_lstm import tf32
    from stacked_lstm.compat import tf

    gpu = gpus()[0]
    details = getattr(tf.config.experimental, "get_device_details", lambda gpu: {})(gpu)  # Not in TensorFlow 1.15.
    return f"{details.get('device_name', gpu.name)}, TF32 {'on' if tf32.asked_for() else 'off'}; {host}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            models = re.findall(r"^model name\s*:\s*(.*)", cpuinfo.read(), re.M)
    except OSError:  # Only Linux has it.
        models = []
    return models[0] if models else platform.processor() or platform.machine()


def gpus() -> Any:
    """The GPUs that TensorFlow sees."""
    from stacked_lstm.compat import tf

    return tf.config.experimental.list_physical_devices("GPU")


def write(path: str, machine: str, rows: Sequence[dict[str, Any]]) -> None:
    """Writes all measurements as JSON."""

    def write_json(temporary: str) -> None:
        with open(temporary, "w") as file:
            json.dump({"machine": machine, "measurements": rows}, file, indent=1)

    output_files.replace(path, write_json)


def read(path: str, columns_of: Callable[[Sequence[dict[str, Any]]], Columns]) -> tuple[str, list[dict[str, Any]]]:
    """Reads what `write` wrote; returns (machine, rows).

    Args:
      path: the file.
      columns_of: function of the rows that returns the columns of their first table.

    Raises:
      ValueError: the file is missing, or has something else in it.
    """
    try:
        with open(path) as file:
            content = json.load(file)
        machine, rows = content["machine"], content["measurements"]
        keys = {key for key, _, _ in columns_of(rows)} | {"dtype", "library", "steps"}
        missing = sorted(set().union(*(keys - set(row) for row in rows)))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"--from_json: expected a file that --json wrote, got {path} ({error})") from None
    if missing or not rows:
        reason = f"without the keys {', '.join(missing[:3])} ..." if missing else "without measurements"
        raise ValueError(f"--from_json: expected a file that --json wrote, got {path} {reason}")
    for row in rows:  # Older files lack this key.
        row.setdefault("device", "GPU" if "TF32" in machine else "CPU")
    return machine, rows
