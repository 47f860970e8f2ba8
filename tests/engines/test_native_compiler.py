"""The compiler of the native library: which one it is, its flags, and compilers that fail or hang."""

import os
import re
import time

import pytest

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from stacked_lstm.compilation import compiler
from stacked_lstm.engines import op_library
from stacked_lstm.engines.native import library
from support.engines.fake_builds import problem
from support.suite.sets import ONCE


def test_no_compiler(new_cache, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/compiler")
    assert "the environment variable CXX names no compiler that can be found: '/nowhere/compiler'" in problem()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(new_cache))
    library.OPS.forget()
    assert "there is no C++ compiler (g++, clang++, c++) on the path; install one, or name it in CXX" in problem()


@ONCE
def test_compilers_with_words_of_their_own(fake_compiler, monkeypatch):
    """Words as in `ccache g++` or `g++ -m64` are part of every command and of the hash in the library's name."""
    plain, _ = library.LIBRARY.find_or_build()
    monkeypatch.setenv("CXX", f"env LANG=C '{os.environ['CXX']}' -m64")
    path, is_new = library.LIBRARY.find_or_build()
    lines = fake_compiler.read_text().splitlines()
    assert is_new and path != plain
    assert [line.startswith("-m64 ") for line in lines] == [k >= len(lines) // 2 for k in range(len(lines))]


@ONCE
def test_flags_for_the_kernels(fake_compiler, monkeypatch):
    """They follow the package's flags, so that they win. TensorFlow's headers must not see them."""
    plain, _ = library.LIBRARY.find_or_build()
    monkeypatch.setenv(compiler.FLAGS_VARIABLE, "-march=haswell -DNAME='two words'")
    fake_compiler.write_text("")
    path, is_new = library.LIBRARY.find_or_build()
    assert is_new and path != plain
    compilations = [line for line in fake_compiler.read_text().splitlines() if " -c " in line]
    with_flags = [line for line in compilations if "-march=native" in line]
    assert with_flags == [line for line in compilations if "-march=haswell -DNAME=two words " in line]
    assert all(line.index("-march=native") < line.index("-march=haswell") for line in with_flags)
    assert [line for line in compilations if "joined_ops.cc" in line] == [
        line for line in compilations if line not in with_flags
    ]


def test_flags_that_are_no_words(fake_compiler, monkeypatch):
    flags = "-march='haswell"
    monkeypatch.setenv(compiler.FLAGS_VARIABLE, flags)
    words = problem()
    assert f"the environment variable {compiler.FLAGS_VARIABLE} is no list of words" in words and repr(flags) in words


@pytest.mark.parametrize("cxx, words", [("'g++", "No closing quotation"), (" ", "names no compiler that can be found")])
def test_a_cxx_that_is_no_command(cxx, words, new_cache, monkeypatch):
    monkeypatch.setenv("CXX", cxx)
    assert words in problem() and repr(cxx) in problem()


def test_the_compiler_speaks_english(new_cache, monkeypatch, tmp_path):
    """Its version is part of the hash in the library's name."""
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\necho "$LC_ALL"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert op_library.toolchain().version == "C\n"


@ONCE
def test_broken_compiler(fake_compiler, monkeypatch, tmp_path):
    compiler = tmp_path / "broken"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo broken 1.0\necho cannot do this >&2; exit 3\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    words = problem()
    assert f"{compiler} failed with status 3 and said: cannot do this" in words
    monkeypatch.setenv("CXX", str(fake_compiler))  # A failure is remembered: no second attempt in this process.
    assert problem() == words


@ONCE
def test_a_compiler_that_hangs(fake_compiler, monkeypatch, tmp_path):
    """It is ended with the processes that it has started, which hold its output, too."""
    compiler_path = tmp_path / "hanging"
    compiler_path.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exec echo 1.0\nsleep 1000 &\necho $! >> %s\nwait\n' % (tmp_path / "pids")
    )
    compiler_path.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler_path))
    monkeypatch.setattr(compiler, "SECONDS", 1)
    start = time.time()
    assert re.search(rf"{compiler_path} \(process \d+\) has not finished within 1 seconds", problem())
    assert time.time() - start < 20
    for number in (tmp_path / "pids").read_text().split():
        assert not is_running(int(number))
    lstm = StackedLSTM([2])
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used.name == "graph" and "within 1 seconds" in lstm.engine_used.reason


def is_running(number):
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
