"""What tests of the native library ask about builds by the fixture `fake_compiler`."""

import pytest

from stacked_lstm.compilation import compiler
from stacked_lstm.engines.native import library


def calls(log):
    """How many times the library was linked."""
    return sum("-shared" in line for line in log.read_text().split("\n")) if log.exists() else 0


def problem():
    """The message of the error that says why there is no library."""
    with pytest.raises(compiler.BuildError) as errors:
        library.load()
    return str(errors.value)
