"""C++ programs of the tests, compiled with the native engine's sources: under sanitizers, or by other compilers."""

import os
import shutil
import subprocess

import pytest

from stacked_lstm import kernels
from support.suite.versions import OLD

SANITIZERS = pytest.mark.parametrize(
    "sanitizers, processor", [("address,undefined", ["-march=native"]), ("thread", [])], ids=["address", "thread"]
)
NEEDS_COMPILER = [
    pytest.mark.skipif(OLD, reason="no TensorFlow is in it: once is enough"),
    pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here"),
]


def build(program_source, sources, sanitizers, processor, directory):
    """Compiles a program of the tests and `sources`, which may be object files; returns its path."""
    program = str(directory / os.path.basename(program_source)[: -len(".cc")])
    _compile([program_source, *sources, "-o", program], program_source, sanitizers, processor)
    return program


def object_files(sources, sanitizers, processor, directory):
    """Compiles `sources` for several programs; returns the paths of the object files."""
    paths = [str(directory / (os.path.basename(source) + ".o")) for source in sources]
    for source, path in zip(sources, paths):
        _compile(["-c", source, "-o", path], source, sanitizers, processor)
    return paths


def object_files_by(compiler, sources, directory):
    """Compiles `sources` with a compiler, which is a list of words; returns the paths of the object files."""
    paths = [str(directory / (os.path.basename(source) + ".o")) for source in sources]
    for source, path in zip(sources, paths):
        _compile_by(compiler, ["-c", source, "-o", path], source)
    return paths


def build_by(compiler, program_source, objects, directory):
    """Compiles a program of the tests with a compiler, and links it with object files; returns its path."""
    program = str(directory / os.path.basename(program_source)[: -len(".cc")])
    _compile_by(compiler, [program_source, *objects, "-o", program], program_source)
    return program


def links(compiler):
    """Whether a compiler can link a program. It needs the libraries of its sanitizers."""
    command = [*compiler, "-x", "c++", "-", "-o", os.devnull]
    return subprocess.run(command, input=b"int main() {}", stderr=subprocess.DEVNULL).returncode == 0


def _compile(arguments, source, sanitizers, processor):
    flags = ["-std=c++17", "-O1", "-g1", "-pthread", "-fsanitize=" + sanitizers, "-fno-sanitize-recover=all"]
    subprocess.run(["g++", *flags, *processor, *_includes(source), *arguments], check=True)


def _compile_by(compiler, arguments, source):
    """Compiles a file. Warnings are errors."""
    flags = ["-std=c++17", "-O2", "-Wall", "-Werror", "-pthread"]
    subprocess.run([*compiler, *flags, *_includes(source), *arguments], check=True)


def _includes(source):
    return ["-I", kernels.FOLDER, "-I", os.path.dirname(source)]


def run(*command):
    """The exit status of a program and what it prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()
