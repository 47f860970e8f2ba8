"""C++ programs of the tests, compiled with the native engine's sources under the compiler's sanitizers."""

import os
import shutil
import subprocess

import pytest

from stacked_lstm.engines.native import library
from support.versions import OLD

SANITIZERS = pytest.mark.parametrize(
    "sanitizers, processor", [("address,undefined", ["-march=native"]), ("thread", [])], ids=["address", "thread"]
)
NEEDS_COMPILER = [
    pytest.mark.skipif(OLD, reason="no TensorFlow is in it: once is enough"),
    pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here"),
]


def build(program_source, sources, sanitizers, processor, directory):
    """Compiles a program of the tests and `sources`; returns its path."""
    program = str(directory / "program")
    flags = ["-std=c++17", "-O1", "-g1", "-pthread", "-fsanitize=" + sanitizers, "-fno-sanitize-recover=all"]
    includes = ["-I", library.SOURCE_DIRECTORY, "-I", os.path.dirname(program_source)]
    subprocess.run(["g++"] + flags + processor + includes + [program_source] + sources + ["-o", program], check=True)
    return program


def run(*command):
    """The exit status of a program and what it prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()
