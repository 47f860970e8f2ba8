"""Compares an old program, moved by the command, with the new program."""

from stacked_lstm.commands import old_program


def check(old, new):
    """Moves a program. A second move changes nothing, and neither program needs a change by hand."""
    old, new = _encoded(old), _encoded(new)
    assert old_program.move(old).decode("latin-1") == new.decode("latin-1")
    assert old_program.move(new) == new
    assert old_program.remarks(old) == old_program.remarks(new) == []


def _encoded(text):
    return text.encode("latin-1" if "latin-1" in text else "utf-8")
