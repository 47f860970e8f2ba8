"""The native engine's kernels alone, without TensorFlow, under the compiler's sanitizers."""

import glob
import os
import shutil
import signal
import subprocess

import pytest

from stacked_lstm.engines.native import library
from support.sets import EXHAUSTIVE
from support.versions import OLD

TESTS = os.path.dirname(os.path.abspath(__file__))
SOURCES = glob.glob(os.path.join(library.SOURCE_DIRECTORY, "*.cc"))
KERNELS = sorted(path for path in SOURCES if not os.path.basename(path).startswith("op"))  # As library.py has it.
SANITIZERS = pytest.mark.parametrize(
    "sanitizers, processor", [("address,undefined", ["-march=native"]), ("thread", [])], ids=["address", "thread"]
)
pytestmark = [
    pytest.mark.skipif(OLD, reason="no TensorFlow is in it: once is enough"),
    pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here"),
]


def build(name, sources, sanitizers, processor, directory):
    """Compiles a program of these tests and `sources`; returns its path."""
    program = str(directory / "program")
    flags = ["-std=c++17", "-O1", "-g1", "-pthread", "-fsanitize=" + sanitizers, "-fno-sanitize-recover=all"]
    command = ["g++"] + flags + processor + ["-I", library.SOURCE_DIRECTORY, os.path.join(TESTS, name)] + sources
    subprocess.run(command + ["-o", program], check=True)
    return program


def run(*command):
    """The exit status of a program and what it prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()


@EXHAUSTIVE
@SANITIZERS
def test_under_sanitizers(sanitizers, processor, tmp_path):
    """Teams, and stacks of every shape in native_kernels.cc, in arrays of exactly their size, by 1, 2, 5 threads.

    For this machine's widest vectors, as they are built for use, and for the narrowest.
    """
    program = build("native_kernels.cc", KERNELS, sanitizers, processor, tmp_path)
    assert run(program) == (0, "all equal\n")


@SANITIZERS
def test_schedules_and_views(sanitizers, processor, tmp_path):
    """Who does what, and that builds with sanitizers check the indices of views."""
    program = build("native_schedule.cc", [], sanitizers, processor, tmp_path)
    assert run(program) == (0, "as it should be\n")
    for view, index in (("row", 6), ("panel", 2), ("panel of packed weights", 2), ("panel of columns", 1)):
        status, output = run(program, view)
        assert status == -signal.SIGABRT and output.startswith(view + ": expected an index below ")
        assert output.split("\n")[0].endswith(f", got {index}")
