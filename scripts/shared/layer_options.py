"""The options of StackedLSTM's layers as flags: one table. Without a flag, its option has StackedLSTM's default."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Callable, Iterator, NamedTuple

from shared.options import Option

SWITCHES = {"true": True, "false": False}


class LayerOption(NamedTuple):
    """A flag for an argument of StackedLSTM that has the same name.

    Fields:
      parse: makes a value for one layer from a text; raises ValueError.
      expected: what `parse` takes, for messages.
      text: the help of the flag.
    """

    parse: Callable[[str], Any]
    expected: str
    text: str


def _switch(text: str) -> bool:
    if text not in SWITCHES:
        raise ValueError
    return SWITCHES[text]


def _switch_or_text(text: str) -> bool | str:
    return SWITCHES.get(text, text)


_NUMBER, _SIZE, _SWITCH = (float, "a number"), (int, "an integer"), (_switch, "true or false")
TABLE = {
    "input_dropout": LayerOption(*_NUMBER, "Share of the inputs that are set to zero in training"),
    "dropout": LayerOption(*_NUMBER, "Share of the values between two layers that are set to zero in training"),
    "output_dropout": LayerOption(*_NUMBER, "Share of the outputs that are set to zero in training"),
    "recurrent_dropout": LayerOption(*_NUMBER, "Share of the values within the steps that are set to zero in training"),
    "recurrent_dropout_kind": LayerOption(str, "a name", "What --recurrent_dropout drops: variational or candidate"),
    "zoneout_c": LayerOption(*_NUMBER, "Share of the cell state that a step of training leaves as it is"),
    "zoneout_h": LayerOption(*_NUMBER, "Share of the hidden state that a step of training leaves as it is"),
    "layer_norm": LayerOption(_switch_or_text, "true, false or tensorflow", "Layer normalization: true or tensorflow"),
    "residual": LayerOption(_switch_or_text, "true, false or 'after layer k'",
                            "Whether the input of a layer is added to its output: true, or 'after layer k'"),
    "projection_size": LayerOption(*_SIZE, "Width to which each layer projects its hidden state"),
    "peepholes": LayerOption(*_SWITCH, "Whether the gates see the cell state"),
    "cell_clip": LayerOption(*_NUMBER, "Bound of the cell state"),
    "projection_clip": LayerOption(*_NUMBER, "Bound of the projected hidden state"),
}  # fmt: skip
_RANDOM = ("input_dropout", "dropout", "output_dropout", "recurrent_dropout", "zoneout_c", "zoneout_h")
OPTIONS = tuple(Option("list", name, None, option.text, identity=True) for name, option in TABLE.items())


def parse(name: str, texts: list[str]) -> Any:
    """Returns the value of a flag: one for all layers, or a list with a value per layer.

    StackedLSTM checks the range, see `flag_errors`.

    Raises:
      ValueError: a text that is not of the option's kind.
    """
    try:
        values = [TABLE[name].parse(text) for text in texts]
    except ValueError:
        values = []
    if not values:
        each = "one for all layers or, after commas, one per layer"
        raise ValueError(f"--{name}: expected {TABLE[name].expected}, {each}, got {','.join(texts) or 'none'}")
    return values[0] if len(values) == 1 else values


def is_valid(name: str, value: Any) -> bool:
    """Whether a value, from the file of a run, is one that `parse` can return."""
    values = value if isinstance(value, list) else [value]
    try:
        texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
        return parse(name, texts) == value
    except ValueError:
        return False


def is_random(options: dict[str, Any]) -> bool:
    """Whether any option of `options` draws masks or noise in training."""
    return any(options.get(name) for name in _RANDOM)


@contextlib.contextmanager
def flag_errors() -> Iterator[None]:
    """Replaces the arguments and bools in StackedLSTM's messages by flags and by what the flags take."""
    try:
        yield
    except ValueError as error:
        message = re.sub(r"^\w+: expected `(\w+)` to be ", r"--\1: expected ", str(error))
        message = re.sub(r"\b(True|False)\b", lambda match: match.group().lower(), message)
        message = message.replace("expected None or ", "expected ")
        raise ValueError(re.sub("`([a-z]+(_[a-z]+)*)`", r"--\1", message)) from error
