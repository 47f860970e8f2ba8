"""A compiler that is quick, for tests of the native library."""

import pytest

from stacked_lstm.engines.native import library


@pytest.fixture
def new_cache(monkeypatch, tmp_path):
    """The path of an empty cache, in a process that has not loaded the library."""
    monkeypatch.setattr(library.OPS, "_loaded", {})
    monkeypatch.delenv(library.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setenv(library.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fake_compiler(new_cache, monkeypatch, tmp_path):
    """The path of the log of a fast compiler, which writes some bytes to the file after -o, and a line to the log."""
    compiler = tmp_path / "compiler"
    script = (
        '#!/bin/sh\ncase "$*" in *--version) exec echo quick 1.0;; esac\n'
        'echo "$@" >> %s\nsleep 0.05\nwhile [ "$1" != -o ]; '
    )
    script += 'do shift; done\necho made > "$2"\n'
    compiler.write_text(script % (tmp_path / "log"))
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    return tmp_path / "log"
