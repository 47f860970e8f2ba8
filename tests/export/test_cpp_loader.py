"""A SavedModel in TensorFlow's C++ loader, which TensorFlow Serving uses."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from stacked_lstm import export
from stacked_lstm.compat import tf
from support.networks import exports
from support.references.numeric import relative_difference
from support.suite.sets import EXHAUSTIVE
from support.suite.versions import OLD

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "saved_model_loader.cc")
LIBRARIES = tf.sysconfig.get_lib()


@EXHAUSTIVE
@pytest.mark.skipif(OLD, reason="the package of TensorFlow 1.15 has no library for C++ programs")
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_saved_model(plain_session, tmp_path):
    program = str(tmp_path / "saved_model_loader")
    libraries = ["-Wl,--no-as-needed", "-L" + LIBRARIES, "-Wl,-rpath," + LIBRARIES]
    libraries += [f"-l:lib{name}.so.2" for name in ("tensorflow_cc", "tensorflow_framework")]
    flags = ["-w", "-std=c++17", "-O0", *tf.sysconfig.get_compile_flags()]
    subprocess.run(["g++", *flags, SOURCE, "-o", program, *libraries], check=True)
    inputs, outputs = exports.stack("graph", "projected", has_lengths=False)
    exports.set_random(plain_session)
    path = str(tmp_path / "model")
    export.saved_model(plain_session, inputs, outputs, path)
    x = np.random.RandomState(0).standard_normal([2, 7, 3]).astype(np.float32)
    numbers = " ".join(f"{number:.9g}" for number in x.ravel()).encode()
    for name, tensor in outputs.items():
        command = [program, path, "x", name, *map(str, x.shape)]
        result = subprocess.run(command, input=numbers, capture_output=True)
        assert result.returncode == 0, result.stderr.decode()
        expected = plain_session.run(tensor, {inputs["x"]: x})
        actual = np.array(result.stdout.split(), np.float64).reshape(expected.shape)
        assert relative_difference(actual, expected) < 1e-5, name
