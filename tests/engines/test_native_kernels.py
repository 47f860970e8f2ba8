"""The native engine's kernels alone, without TensorFlow: under sanitizers, by Clang, and on an emulated ARM."""

import glob
import os
import re
import shutil
import signal

import pytest

from stacked_lstm import kernels
from support.engines.sanitizers import (
    NEEDS_COMPILER,
    SANITIZERS,
    build,
    build_by,
    links,
    object_files,
    object_files_by,
    run,
)
from support.suite.sets import EXHAUSTIVE

TESTS = os.path.dirname(os.path.abspath(__file__))
PREDICTOR = os.path.join(os.path.dirname(kernels.FOLDER), "runtime", "predictor.cc")
KERNELS = sorted(glob.glob(os.path.join(kernels.FOLDER, "**", "*.cc"), recursive=True))
PACKING = [path for path in KERNELS if re.search(r"/(layout|pack)\.cc$", path)]
PROCESSOR = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""
HAS_AVX2 = " avx2 " in PROCESSOR
pytestmark = NEEDS_COMPILER

# Program -> the loops that it compares with.
REFERENCES = {"native_kernels.cc": "native_reference.cc", "native_normalization.cc": "native_normalized_reference.cc"}


def reference_objects(program, compiler, directory):
    """Object files without sanitizers, which would take most of their time in these loops."""
    sources = [os.path.join(TESTS, REFERENCES[program])] if program in REFERENCES else []
    return object_files_by(compiler, sources, directory)


@EXHAUSTIVE
@SANITIZERS
def test_under_sanitizers(sanitizers, processor, tmp_path):
    """Teams, and layers of every shape in the programs, in arrays of exactly their size, by 1, 2 or 5 threads.

    Five shapes also run on 7 and 33 threads. The vectors are this machine's widest, as they are built for use, and the
    narrowest. For the thread sanitizer, the programs are short: they say what they leave out.
    """
    short = ["short"] if sanitizers == "thread" else []
    objects = object_files(KERNELS, sanitizers, processor, tmp_path)
    for name, arguments, words in (
        ("native_team.cc", [], "all in order\n"),
        ("native_kernels.cc", short, "all equal\n"),
        ("native_normalization.cc", short, "all equal\n"),
        ("native_random_mask.cc", [], "all equal\n"),
        ("native_low_precision.cc", [], "all close\n"),
    ):
        references = reference_objects(name, ["g++"], tmp_path)
        program = build(os.path.join(TESTS, name), objects + references, sanitizers, processor, tmp_path)
        assert run(program, *arguments) == (0, words), name


# Name -> the compiler, and the command that runs its programs. Clang compiles for AVX2, whose tiles hold fewer sums
# than those of AVX-512, because `test_under_sanitizers` has the widest vectors of this machine.
OTHER_COMPILERS = {
    "clang": (["clang++", "-march=haswell", "-fsanitize=address"], []),
    "aarch64": (["aarch64-linux-gnu-g++", "-static"], ["qemu-aarch64-static"]),
}


@EXHAUSTIVE
@pytest.mark.parametrize("name", sorted(OTHER_COMPILERS))
def test_other_compilers(name, tmp_path):
    """The programs are short: native_kernels.cc says what they leave out. The vectors of ARM are NEON's."""
    compiler, emulator = OTHER_COMPILERS[name]
    if name == "clang" and not HAS_AVX2:
        pytest.skip("the processor has no AVX2")
    for command in [compiler[0], *emulator]:
        if not shutil.which(command):
            pytest.skip(f"no {command} here")
    if not links(compiler):
        pytest.skip(f"{' '.join(compiler)} cannot link a program")
    objects = object_files_by(compiler, KERNELS + [PREDICTOR], tmp_path)
    for program, words in (
        ("native_activations.cc", "all within the bounds\n"),
        ("native_team.cc", "all in order\n"),
        ("native_kernels.cc", "all equal\n"),
        ("native_random_mask.cc", "all equal\n"),
        ("native_low_precision.cc", "all close\n"),
    ):
        references = reference_objects(program, compiler, tmp_path)
        path = build_by(compiler, os.path.join(TESTS, program), objects + references, tmp_path)
        assert run(*emulator, path, "short") == (0, words), program


@pytest.mark.parametrize("flags", [["-march=native"], pytest.param([], marks=EXHAUSTIVE)], ids=["native", "plain"])
def test_activations(flags, tmp_path):
    """Sigmoid and tanh over all numbers, with denormal ones, infinities and NaN, as the C library has them."""
    program = build(os.path.join(TESTS, "native_activations.cc"), [], "undefined", flags, tmp_path)
    assert run(program) == (0, "all within the bounds\n")


# GCC tuned for Zen 3 rounds twice in loops with a single sum, if the kernels do not prevent it.
@pytest.mark.parametrize("flags", [["-march=native"], ["-march=haswell", "-mtune=znver3"]], ids=["native", "zen3"])
def test_sums_of_products(flags, tmp_path):
    """Tiles and unpacked weights give the same bits: those of one rounding per product, in the order of the rows."""
    if "-march=haswell" in flags and not HAS_AVX2:
        pytest.skip("the processor has no AVX2")
    program = build_by(["g++", *flags], os.path.join(TESTS, "native_sums.cc"), [], tmp_path)
    assert run(program) == (0, "the same bits\n")


# Compiler and emulator -> vectors of 4 floats and 16 registers (SSE), of 8 floats and 16 registers (AVX2), and of 4
# floats and 32 registers (NEON). Weights for SSE and NEON differ only in their groups of vectors.
LAYOUTS = {
    "sse": (["g++", "-march=x86-64"], [], "4 2\n"),
    "avx2": (["g++", "-march=haswell"], [], "6 4\n"),
    "neon": (*OTHER_COMPILERS["aarch64"], "5 3\n"),
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_layout_numbers(name, tmp_path):
    """Packed weights of one processor are refused on another one whose layout differs, because the numbers differ."""
    compiler, emulator, words = LAYOUTS[name]
    if name == "avx2" and not HAS_AVX2 or any(not shutil.which(command) for command in [compiler[0], *emulator]):
        pytest.skip(f"no {name} here")
    program = build_by(compiler, os.path.join(TESTS, "native_layout.cc"), PACKING, tmp_path)
    assert run(*emulator, program) == (0, words)


@SANITIZERS
def test_packed_weights(sanitizers, processor, tmp_path):
    """Each weight is where the layout says, the rest is zeros, and nothing is outside of the arrays."""
    program = build(os.path.join(TESTS, "native_layout.cc"), PACKING, sanitizers, processor, tmp_path)
    status, words = run(program)
    assert status == 0, words


@SANITIZERS
def test_schedules_and_views(sanitizers, processor, tmp_path):
    """Who does what, and that builds with sanitizers check the indices of views."""
    program = build(os.path.join(TESTS, "native_schedule.cc"), [], sanitizers, processor, tmp_path)
    assert run(program) == (0, "as it should be\n")
    for view, index in (("row", 6), ("panel", 2), ("panel of packed weights", 2), ("panel of columns", 1)):
        status, output = run(program, view)
        assert status == -signal.SIGABRT and output.startswith(view + ": expected an index below ")
        assert output.split("\n")[0].endswith(f", got {index}")
