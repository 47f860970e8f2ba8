"""What the flags of the benchmark allow together. Each error names a flag, what was expected and what was given."""

from __future__ import annotations

import math
from typing import Any, Iterable, Sequence

from benchmarking import kinds
from benchmarking.records import record
from shared.options import format_names, format_value

# The flags that nothing reads in a mode that stands alone, or with --from_json.
_OF_SUBJECTS = (
    *("programs", "options", "cells", "threads", "contestants"),
    *("shapes", "part", "device", "dtype", "one_process"),
)
_UNUSED = {
    "--modes=exported": (*_OF_SUBJECTS, "chart", "from_json"),
    "--modes=cluster": (*_OF_SUBJECTS, "chart", "from_json", "runs", "seconds"),
    "--from_json": (*_OF_SUBJECTS, "json", "modes", "runs", "rounds", "seconds"),
}
_NEEDED = {
    "contestants": "names of contestants",
    "modes": "names of modes",
    "shapes": "T,B,I,H,L",
    "runs": "directories of train.py",
    "from_json": "files of --json",
}


def check_alone(values: Any, place: str) -> None:
    """Raises ValueError if a flag has no use with a key of `_UNUSED`."""
    _check_unused(values, _UNUSED[place], f"with {place}")


def check_values(values: Any, modes_alone: Sequence[str]) -> None:
    """Raises ValueError if a flag has no value, if --seconds is no number, or if a mode that stands alone does not."""
    for flag, expected in _NEEDED.items():
        if values[flag].value is not None and not values[flag].value:
            raise ValueError(f"--{flag}: expected {expected}, got none")
    if not math.isfinite(values.seconds):
        raise ValueError(f"--seconds: expected a number of seconds, got {values.seconds}")
    modes = dict.fromkeys(values.modes or ())
    if len(modes) > 1 and set(modes) & set(modes_alone):
        expected = f"{' or '.join(modes_alone)} without other modes"
        raise ValueError(f"--modes: expected {expected}, got {format_names([*modes])}")


def check_flags(values: Any, kind: kinds.Kind, modes_alone: Sequence[str]) -> tuple[Sequence[Any], list[str]]:
    """Returns (subjects of the kind, modes); raises ValueError that names a flag."""
    _check_unused(values, ["runs"], "without --modes=exported")
    if kind.flag == "programs":
        _check_unused(values, ["shapes"], "with --programs")
    else:
        _check_unused(values, ["part"], "without --programs")
    subjects, modes = kind.parse(values), list(dict.fromkeys(values.modes or kind.default_modes))
    dtypes = [kind.tables.subject(subject)["dtype"] for subject in subjects]
    of_kind = f" ({kind.place.strip()})" if kind.place else f"; or {' or '.join(modes_alone)} without other modes"
    on_device = f" ({kind.place.strip()}{' and' if kind.place else 'with'} --device={values.device})"
    for flag, chosen, known, is_list, place in (
        ("device", [values.device], kind.devices, False, kind.place),
        ("dtype", [values.dtype], kind.dtypes, False, kind.place),
        ("shapes", dtypes, kind.dtypes, False, kind.place),
        ("contestants", values.contestants, kind.names_on(values.device), True, on_device),
        ("modes", modes, kind.modes, True, of_kind),
    ):
        unknown = sorted(set(chosen or ()) - set(known))
        if unknown:
            expected = f"some of {', '.join(known)}" if is_list else " or ".join(known)
            raise ValueError(f"--{flag}: expected {expected}{place}, got {format_names(unknown)}")
    if values.device == "GPU":
        _check_gpu()
    chosen = values.contestants or kind.default_names(values.device)
    engine, peers = kind.comparison.engine_of_device[values.device], kind.comparison.peers
    if values.chart and (engine not in chosen or not set(chosen) & set(peers)):
        expected = f"{engine} and one of {', '.join(peers)}"
        raise ValueError(f"--chart: expected --contestants with {expected}, got {', '.join(chosen)}")
    return subjects, modes


def check_measured(rows: Sequence[record.Row], values: Any, kind: kinds.Kind, modes: Sequence[str]) -> None:
    """Raises ValueError if no contestant could be measured."""
    if not rows:
        chosen = values.contestants or kind.default_names(values.device)
        flags = f"--modes={','.join(modes)}{kind.place.replace(' with', ' and')}"
        raise ValueError(f"--contestants: expected one that can be measured with {flags}, got {', '.join(chosen)}")


def _check_unused(values: Any, names: Iterable[str], place: str) -> None:
    for name in names:
        value = values[name].value
        if value != values[name].default:
            raise ValueError(f"--{name}: expected none {place}, got {format_value(value)}")


def _check_gpu() -> None:
    """Raises ValueError if TensorFlow sees no GPU, or if the environment says neither yes nor no to TF32."""
    from stacked_lstm import tf32
    from stacked_lstm.compat import tf

    tf32.asked_for()
    if not record.gpus():
        raise ValueError(f"--device: expected CPU where TensorFlow {tf.__version__} sees no GPU, got GPU")
