"""What the tables of all benchmarks share, and the file of the measurements."""

from __future__ import annotations

import json
import os
import platform
import re
from typing import Any, Callable, Dict, Iterable, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from benchmarking.processes.worker import Worker
from benchmarking.subjects.shapes import DTYPES
from stacked_lstm.commands import output_files

Columns = Sequence[Tuple[str, str, str]]
Row = Dict[str, Any]


class Tables(NamedTuple):
    """How the measurements of a kind of subjects are stored and printed.

    Fields:
      columns: key in --json, heading and format of each column of the first table.
      subject: function of a subject that returns the keys of a row that name it, and `dtype`.
      values: function of a subject, a mode, a `Worker` and the medians by contestant. It returns the keys of a row that
        only this kind has. A missing value is None.
      print_record: function of all rows and the machine that prints the second table.
    """

    columns: Columns
    subject: Callable[[Any], Row]
    values: Callable[[Any, str, Worker, Mapping[str, float]], Row]
    print_record: Callable[[Sequence[Row], str], None]


def summarize(tables: Tables, subject: Any, mode: str, device: str, workers: Sequence[Worker]) -> list[Row]:
    """Returns a row per contestant: the keys of the tables, `mode`, `device`, `library` and `steps`."""
    medians = {worker.name: float(np.median(worker.milliseconds)) for worker in workers}
    return [
        {
            **tables.subject(subject),
            "mode": mode,
            "device": device,
            "contestant": worker.name,
            "library": worker.library,
            "steps": len(worker.milliseconds),
            "median_ms": medians[worker.name],
            "p10_ms": float(np.percentile(worker.milliseconds, 10)),
            "megabytes": worker.megabytes,
            **tables.values(subject, mode, worker, medians),
        }
        for worker in workers
    ]


def ratio(medians: Mapping[str, float], peer: str, name: str) -> float | None:
    """How many times as fast as a peer a contestant is; None if the peer was not measured."""
    return medians[peer] / medians[name] if peer in medians else None


def by_place(rows: Sequence[Row], keys: Sequence[str], column: str = "contestant") -> dict[tuple[str, ...], dict]:
    """Returns a dictionary: values of `keys` -> value of `column` -> row."""
    places: dict[tuple[str, ...], dict] = {}
    for row in rows:
        places.setdefault(tuple(row[key] for key in keys), {})[row[column]] = row
    return places


def cell(row: Mapping[Any, Any], key: Any, form: str) -> str:
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


def print_rows(rows: Sequence[Row], columns: Columns) -> None:
    """Prints rows of a table. A column has a key, a heading and a format."""
    for row in rows:
        print_row(cell(row, key, form) for key, _, form in columns)


def print_caption(rows: Sequence[Row], machine: str) -> None:
    """Prints the sentence above the second table."""
    libraries = ", ".join(sorted({row["library"] for row in rows}))
    dtypes = ", ".join(sorted({row["dtype"] for row in rows}))
    print(f"\nMedians in milliseconds, {dtypes}. {machine}; {libraries}.\n")


def print_places(
    rows: Sequence[Row],
    machine: str,
    places: Mapping[str, str],
    names: Sequence[str],
    engine: str,
    ends: Columns,
    form: str = ".3f",
) -> None:
    """Prints the second table: a row per place, with the median of each contestant.

    Args:
      rows: what `summarize` returns, of all subjects and modes, on one device.
      machine: what `describe_machine` returns.
      places: the keys of a row that are its place, and their headings.
      names: the contestants, in the order of their columns.
      engine: the contestant whose values the last columns have.
      ends: the last columns.
      form: the format of a median.
    """
    print_caption(rows, machine)
    print_header([*places.values(), *names, *(heading for _, heading, _ in ends)])
    for place, measured in by_place(rows, list(places)).items():
        medians = [cell(measured.get(name, {}), "median_ms", form) for name in names]
        row = measured.get(engine, {})
        print_row([*place, *medians, *(cell(row, key, form_of_end) for key, _, form_of_end in ends)])


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


def write(path: str, machine: str, rows: Sequence[Row]) -> None:
    """Writes all measurements as JSON."""

    def write_json(temporary: str) -> None:
        with open(temporary, "w") as file:
            json.dump({"machine": machine, "measurements": rows}, file, indent=1)

    output_files.replace(path, write_json)


def read(path: str, columns_of: Callable[[Sequence[Row]], Columns]) -> tuple[str, list[Row]]:
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
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or ("no JSON" if isinstance(error, ValueError) else "other JSON")
        raise ValueError(f"--from_json: expected a file that --json wrote, got {path} ({reason})") from None
    if missing or not rows:
        reason = f"without the keys {', '.join(missing[:3])}" + " ..." * (len(missing) > 3) if missing else "no rows"
        raise ValueError(f"--from_json: expected a file that --json wrote, got {path} ({reason})")
    for row in rows:  # Older files lack this key, and the dtype of a shape.
        row.setdefault("device", "GPU" if "TF32" in machine else "CPU")
        if "shape" in row and row["dtype"] not in (DTYPES[0], row["shape"].split(",")[-1]):
            row["shape"] += f",{row['dtype']}"
    return machine, rows
