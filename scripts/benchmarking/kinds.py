"""The kinds of subjects that the benchmark measures: shapes, programs and options. A new kind is a line in `KINDS`."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, NamedTuple, Sequence

import programs
from benchmarking import option_record, options, program_record, record
from benchmarking.contestants import (
    AUTO,
    CONTESTANTS,
    ENGINE_OF_DEVICE,
    OPTION_CONTESTANTS,
    PEERS,
    PROGRAM_CONTESTANTS,
    STEPWISE,
    TENSORFLOW,
    Contestant,
)
from benchmarking.shapes import DEVICES, DTYPES, MODES, PROGRAM_MODES, parse_shapes

SHAPES = "30,64,8,64,3;28,4,28,256,1;28,128,28,256,1;35,20,650,650,2;100,1,16,64,2"


class Kind(NamedTuple):
    """A kind of subjects.

    Fields:
      parse: function of the flags' values that returns the subjects.
      contestants: all that may take part.
      only_if_named: those that take part only if --contestants names them.
      modes, default_modes, dtypes: what the flags may name, and the modes without --modes.
      columns: key in --json, heading and format of each column of the first table.
      tables: the module with `summarize` and `print_record`.
      engine_of_device, peers: what --chart compares.
      place: for messages of errors, the flag that chose the kind.
    """

    parse: Callable[[Any], Sequence[Any]]
    contestants: dict[str, Contestant]
    only_if_named: tuple[str, ...]
    modes: tuple[str, ...]
    default_modes: tuple[str, ...]
    dtypes: tuple[str, ...]
    columns: record.Columns
    tables: ModuleType
    engine_of_device: dict[str, str]
    peers: tuple[str, ...]
    place: str = ""


# The keys are those of a subject in the rows of --json.
KINDS = {
    "shape": Kind(
        parse=lambda values: parse_shapes(values.shapes or SHAPES),
        contestants=CONTESTANTS,
        only_if_named=(),
        modes=MODES,
        default_modes=MODES[:2],
        dtypes=DTYPES,
        columns=record.COLUMNS,
        tables=record,
        engine_of_device=ENGINE_OF_DEVICE,
        peers=tuple(PEERS),
    ),
    "program": Kind(
        parse=lambda values: programs.parse(values.programs, values.part),
        contestants=PROGRAM_CONTESTANTS,
        only_if_named=("graph",),
        modes=PROGRAM_MODES,
        default_modes=PROGRAM_MODES,
        dtypes=DTYPES[:1],
        columns=record.PROGRAM_COLUMNS,
        tables=program_record,
        engine_of_device=dict.fromkeys(DEVICES, AUTO),
        peers=(STEPWISE, TENSORFLOW),
        place=" with --programs",
    ),
    "option": Kind(
        parse=lambda values: options.parse(values.options, values.shapes),
        contestants=OPTION_CONTESTANTS,
        only_if_named=("graph",),
        modes=("training",),
        default_modes=("training",),
        dtypes=DTYPES[:1],
        columns=option_record.COLUMNS,
        tables=option_record,
        engine_of_device={},
        peers=(),
        place=" with --options",
    ),
}


def of_flags(values: Any) -> Kind:
    """The kind that the flags choose."""
    if values.options is not None:
        return KINDS["option"]
    return KINDS["shape" if values.programs is None else "program"]


def names_of_rows(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The kinds of measurements, by their keys in `KINDS`. Rows of options have a shape, too."""
    names = {next((key for key in ("program", "option") if key in row), "shape") for row in rows}
    return [name for name in KINDS if name in names]


def of_rows(rows: Sequence[dict[str, Any]]) -> Kind:
    """The kind of measurements; of several kinds, the last one."""
    return KINDS[(names_of_rows(rows) or ["shape"])[-1]]


def columns_of_rows(rows: Sequence[dict[str, Any]]) -> record.Columns:
    """The columns of the first table of measurements."""
    return of_rows(rows).columns
