"""Flags of train.py and of its tasks as data: one table defines them, documents them and reads them."""

from __future__ import annotations

import math
import shlex
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from absl import flags

_DEFINE = {
    "boolean": flags.DEFINE_boolean,
    "enum": flags.DEFINE_enum,
    "float": flags.DEFINE_float,
    "integer": flags.DEFINE_integer,
    "list": flags.DEFINE_list,
    "string": flags.DEFINE_string,
}


class Option(NamedTuple):
    """A flag.

    Fields:
      kind: a key of `_DEFINE`.
      name: the flag's name, without the dashes.
      default: its value if it is absent. For a flag of one task, absl has None instead, which tells the two apart.
      text: its help.
      domain: further arguments of absl, such as the values of an enum.
      identity: whether it decides what a checkpoint holds, so that a run goes on only with the same value.
    """

    kind: str
    name: str
    default: Any
    text: str
    domain: Mapping[str, Any] = {}
    identity: bool = False

    def define(self, values: flags.FlagValues, default: Any = None, text: str | None = None) -> None:
        """Adds the flag to absl's flags, with another text if one is given. absl's bounds let NaN through."""
        define, text = _DEFINE[self.kind], (text or self.text).rstrip(".") + "."
        define(name=self.name, default=default, help=text, flag_values=values, **self.domain)
        if self.kind == "float":
            flags.register_validator(self.name, is_finite, "expected a finite number", flag_values=values)


def is_finite(value: float | None) -> bool:
    """Whether the value of a flag is a number that is neither NaN nor infinite; None, without the flag, is fine."""
    return value is None or math.isfinite(value)


def chosen_names(flag: str, names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Returns the names that a flag chooses, each once; "all" stands for all known names.

    Raises:
      ValueError: a name is not known, or there is none.
    """
    unknown = sorted(set(names) - set(known) - {"all"})
    if unknown or not names:
        raise ValueError(f"--{flag}: expected all or some of {', '.join(known)}, got {format_names(unknown)}")
    return list(known if "all" in names else dict.fromkeys(names))


def format_names(names: Sequence[str]) -> str:
    """Names in a message. A list such as "a," has an empty one."""
    return ", ".join(name or "an empty name" for name in names) or "none"


def format_value(value: Any) -> str:
    """A flag's value as it is written on the command line."""
    if isinstance(value, list):
        return ",".join(map(format_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def format_flag(name: str, value: Any) -> str:
    """A flag as it is written on the command line; "no --NAME" for None, the value of a flag that is absent."""
    return f"no --{name}" if value is None else f"--{name}={shlex.quote(format_value(value))}"
