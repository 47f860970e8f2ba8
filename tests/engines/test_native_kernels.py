"""The native engine's kernels alone, without TensorFlow, under the compiler's sanitizers."""

import os
import shutil
import subprocess

import pytest

from stacked_lstm.engines.native import library
from support.sets import EXHAUSTIVE
from support.versions import OLD

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native_kernels.cc")
KERNELS = [os.path.join(library.HERE, name) for name in ("pack.cc", "forward.cc", "backward.cc")]


@EXHAUSTIVE
@pytest.mark.skipif(OLD, reason="no TensorFlow is in it: once is enough")
@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here")
@pytest.mark.parametrize(
    "sanitizers, processor", [("address,undefined", ["-march=native"]), ("thread", [])], ids=["address", "thread"]
)
def test_under_sanitizers(sanitizers, processor, tmp_path):
    """Teams, and stacks of every shape in native_kernels.cc, in arrays of exactly their size, by 1, 2, 5 threads.

    For this machine's widest vectors, as they are built for use, and for the narrowest.
    """
    program = str(tmp_path / "kernels")
    flags = [
        "-std=c++17",
        "-O1",
        "-g1",
        "-pthread",
        "-fsanitize=" + sanitizers,
        "-fno-sanitize-recover=all",
    ] + processor
    command = ["g++"] + flags + ["-I", library.HERE, PROGRAM] + KERNELS + ["-o", program]
    subprocess.run(command, check=True)
    done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and done.stdout == b"all equal\n", done.stdout.decode()
