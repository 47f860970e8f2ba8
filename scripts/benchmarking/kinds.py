"""The kinds of subjects that the benchmark measures. A new kind is a line in `KINDS`; no other module tells them apart.

A subject is a shape, a program, an option at a shape, a cell at a shape, or a shape on a number of threads. The first
table of a benchmark has a row per subject, mode and contestant.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import programs
from benchmarking.contestant import Contestant
from benchmarking.contestants import (
    AUTO,
    CELL_CONTESTANTS,
    CONTESTANTS,
    ENGINE_OF_DEVICE,
    NATIVE_ON_CPU,
    OPTION_CONTESTANTS,
    PEERS,
    PLAIN,
    PROGRAM_CONTESTANTS,
    STEPWISE,
    TENSORFLOW,
    THREAD_CONTESTANTS,
)
from benchmarking.records import cell_record, chart, option_record, program_record, record, shape_record, thread_record
from benchmarking.subjects import cells, options, threads
from benchmarking.subjects.shapes import DEVICES, DTYPES, MODES, PROGRAM_MODES, parse_shapes

SHAPES = {
    "CPU": "30,64,8,64,3;28,4,28,256,1;28,128,28,256,1;35,20,650,650,2;100,1,16,64,2",
    "GPU": "35,20,650,650,2;50,32,128,512,2;28,128,28,256,1;100,64,256,1024,4;50,128,256,1024,2,float16",
}


class Kind(NamedTuple):
    """A kind of subjects.

    Fields:
      flag: the name of the flag that chooses the subjects.
      parse: function of the flags' values that returns the subjects.
      contestants: all that may take part.
      tables: how its measurements are stored and printed.
      comparison: what --chart shows.
      modes, default_modes, devices, dtypes: what the flags may name, and the modes without --modes.
      has: function of a subject and the name of a contestant: whether the contestant can run it.
    """

    flag: str
    parse: Callable[[Any], Sequence[Any]]
    contestants: dict[str, Contestant]
    tables: record.Tables
    comparison: chart.Comparison
    modes: tuple[str, ...] = MODES
    default_modes: tuple[str, ...] = MODES[:2]
    devices: tuple[str, ...] = DEVICES
    dtypes: tuple[str, ...] = DTYPES
    has: Callable[[Any, str], bool] = lambda subject, contestant: True

    @property
    def place(self) -> str:
        """Words for error messages about the flag that chose the kind; "" for shapes, which need no flag."""
        return "" if self.flag == "shapes" else f" with --{self.flag}"

    def names_on(self, device: str) -> list[str]:
        """The contestants of a measurement on a device, with this installation."""
        return [name for name, entry in self.contestants.items() if device in entry.places and entry.exists()]

    def default_names(self, device: str) -> list[str]:
        """The contestants if the flags name none."""
        return [name for name in self.names_on(device) if device not in self.contestants[name].only_if_named]


# The keys are those of a subject in the rows of --json. A kind's rows may have the keys of kinds above it, too.
KINDS = {
    "shape": Kind(
        flag="shapes",
        parse=lambda values: parse_shapes(values.shapes or SHAPES[values.device], values.dtype),
        contestants=CONTESTANTS,
        tables=shape_record.TABLES,
        comparison=chart.Comparison(
            "StackedLSTM is with its engine",
            ENGINE_OF_DEVICE,
            tuple(PEERS),
            place="shape",
            label=chart.sizes_in_lines,
            x_label=chart.SHAPE_LABEL,
        ),
    ),
    "program": Kind(
        flag="programs",
        parse=lambda values: programs.parse(values.programs, values.part),
        contestants=PROGRAM_CONTESTANTS,
        tables=program_record.TABLES,
        comparison=chart.Comparison(
            "old programs are with the engine",
            dict.fromkeys(DEVICES, AUTO),
            (STEPWISE, TENSORFLOW),
            place="program",
            common="part",
        ),
        modes=PROGRAM_MODES,
        default_modes=PROGRAM_MODES,
        dtypes=DTYPES[:1],
    ),
    "option": Kind(
        flag="options",
        parse=lambda values: options.parse(values.options, values.shapes or options.SHAPES),
        contestants=OPTION_CONTESTANTS,
        tables=option_record.TABLES,
        comparison=chart.Comparison(
            "StackedLSTM is with an option and its engine",
            option_record.ENGINE_OF_DEVICE,
            (PLAIN, NATIVE_ON_CPU, "pytorch", "tf_keras", STEPWISE, TENSORFLOW),
            place="option",
            panel=("shape", "mode"),
        ),
        default_modes=PROGRAM_MODES[:1],
        dtypes=DTYPES[:1],
        has=options.OptionAt.has,
    ),
    "cell": Kind(
        flag="cells",
        parse=lambda values: cells.parse(values.cells, values.shapes or cells.SHAPES),
        contestants=CELL_CONTESTANTS,
        tables=cell_record.TABLES,
        comparison=chart.Comparison(
            "single calls of cells are with",
            dict.fromkeys(DEVICES, AUTO),
            (TENSORFLOW,),
            place="cell",
            panel=("shape", "mode"),
        ),
        default_modes=PROGRAM_MODES,
        devices=("CPU",),
        dtypes=DTYPES[:1],
        has=cells.CellAt.has,
    ),
    "threads": Kind(
        flag="threads",
        parse=lambda values: threads.parse(values.threads, values.shapes or threads.SHAPES, values.dtype),
        contestants=THREAD_CONTESTANTS,
        tables=thread_record.TABLES,
        comparison=chart.Comparison(
            "StackedLSTM is with its engine",
            ENGINE_OF_DEVICE,
            tuple(PEERS),
            place="threads",
            panel=("shape", "mode"),
        ),
        devices=("CPU",),
    ),
}


def of_flags(values: Any) -> Kind:
    """The kind that the flags choose.

    Raises:
      ValueError: the flags choose several kinds. --shapes does not count, because other kinds use it, too.
    """
    chosen = [kind for kind in list(KINDS.values())[1:] if values[kind.flag].value is not None]
    if len(chosen) > 1:
        flag = chosen[0].flag
        raise ValueError(f"--{flag}: expected none{chosen[1].place}, got {','.join(values[flag].value)}")
    return chosen[0] if chosen else KINDS["shape"]


def in_rows(rows: Sequence[record.Row]) -> list[Kind]:
    """The kinds of measurements."""
    names = {next(name for name in [*KINDS][::-1] if name in row or name == "shape") for row in rows}
    return [kind for name, kind in KINDS.items() if name in names]


def of_rows(rows: Sequence[record.Row]) -> Kind:
    """The kind of measurements; of several kinds, the last one."""
    return (in_rows(rows) or [KINDS["shape"]])[-1]


def columns_of_rows(rows: Sequence[record.Row]) -> record.Columns:
    """The columns of the first table of measurements."""
    return of_rows(rows).tables.columns
