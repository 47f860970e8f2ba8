"""The native library: building it once, keeping and loading it, and what happens without it."""

import logging
import multiprocessing
import os
import re
import stat

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from stacked_lstm.compilation import compiler
from stacked_lstm.engines import op_library
from stacked_lstm.engines.native import __main__, library
from support.engines import native_ops
from support.engines.fake_builds import calls, problem
from support.processes import programs
from support.suite.sets import ONCE


@ONCE
def test_built_once_and_kept_private(fake_compiler, new_cache, caplog):
    with caplog.at_level(logging.WARNING, "stacked_lstm"):
        path, is_new = library.LIBRARY.find_or_build()
        assert is_new and library.LIBRARY.find_or_build() == (path, False) and calls(fake_compiler) == 1
    before, after = caplog.messages
    assert path in before and "this happens once" in before and re.search(r"was built in \d+ s$", after)
    assert stat.S_IMODE(os.stat(str(new_cache)).st_mode) == 0o700
    files = sorted(os.listdir(str(new_cache)))
    assert files == sorted([os.path.basename(path), os.path.basename(path) + ".lock"])  # No incomplete files.


@ONCE
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b"x" + b[1:], lambda b: b"foreign"])
def test_damaged_files_are_built_again(damage, fake_compiler):
    path, _ = library.LIBRARY.find_or_build()
    with open(path, "rb") as file:
        contents = file.read()
    with open(path, "wb") as file:
        file.write(damage(contents))
    assert library.LIBRARY.find_or_build() == (path, True) and calls(fake_compiler) == 2
    with open(path, "rb") as file:
        assert file.read() == contents


@ONCE
@pytest.mark.parametrize(
    "change", ["command", "version", "libraries", "processor", "compile_flags", "kernel_flags", "source"]
)
def test_another_key_is_another_file(change, fake_compiler):
    tools = op_library.toolchain()
    before = library.LIBRARY.cache_path(tools)
    changed = library.LIBRARY
    if change == "source":
        changed = changed._replace(sources=changed.sources[1:])
    else:
        tools = tools._replace(**{change: "another"})
    assert changed.cache_path(tools) != before


@ONCE
def test_processes_at_once_build_once(fake_compiler):
    with multiprocessing.get_context("fork").Pool(3) as pool:
        results = pool.map(_built, range(3), chunksize=1)
    assert sorted(is_new for _, is_new in results) == [False, False, True] and calls(fake_compiler) == 1


def _built(_):
    return library.LIBRARY.find_or_build()


@ONCE
def test_what_is_no_library(fake_compiler):
    assert "TensorFlow does not load the library" in problem()


@ONCE
def test_a_library_by_name(fake_compiler, monkeypatch, tmp_path, capsys):
    """It needs no compiler, and nothing is built."""
    path, _ = library.LIBRARY.find_or_build()
    new_path = str(tmp_path / "moved.so")
    os.rename(path, new_path)
    monkeypatch.setenv(library.LIBRARY_VARIABLE, new_path)
    monkeypatch.setenv("CXX", "/nowhere/compiler")
    assert library.LIBRARY.find_or_build() == (new_path, False)
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv(library.LIBRARY_VARIABLE, "moved.so")
    assert library.LIBRARY.find_or_build() == (new_path, False)
    for other in (str(tmp_path / "none.so"), str(fake_compiler)):
        monkeypatch.setenv(library.LIBRARY_VARIABLE, other)
        with pytest.raises(compiler.BuildError, match="STACKED_LSTM_NATIVE_LIBRARY names no library"):
            library.LIBRARY.find_or_build()


@native_ops.NEEDS_NATIVE
def test_a_library_by_name_that_is_one(monkeypatch, capsys):
    path, _ = library.LIBRARY.find_or_build()
    monkeypatch.setenv(library.LIBRARY_VARIABLE, path)
    monkeypatch.setenv("CXX", "/nowhere/compiler")
    assert __main__.main() == 0 and capsys.readouterr().out == f"found {path}\n"
    assert __main__.main(["--help"]) == 0 and "builds the native engine before its" in capsys.readouterr().out
    assert __main__.main(["--gpu", "x"]) == 2 and capsys.readouterr().err == "expected no arguments, got --gpu x\n"


@ONCE
def test_without_it(fake_compiler, caplog):
    """A named engine is an error with the compiler's words. "auto" chooses graph, and the log says so."""
    with pytest.raises(
        ValueError, match="lstm: the engine 'native' .asked for by name. cannot run these layers: TensorFlow"
    ):
        StackedLSTM([2], engine="native", name="lstm")(tf.zeros([1, 1, 1]))
    assert not any("continuing without" in record.getMessage() for record in caplog.records)
    for name in ("one", "other"):
        lstm = StackedLSTM([2], name=name)
        lstm(tf.zeros([1, 1, 1]))
        assert lstm.engine_used.name == "graph"
        assert "not native: TensorFlow does not load the library" in lstm.engine_used.reason
    warnings = [r.getMessage() for r in caplog.records if "engine" in r.getMessage()]
    assert sum("building the native engine" in text for text in warnings) == 1
    assert sum("continuing without the native engine" in text for text in warnings) == 1


@ONCE
def test_errors_are_new_ones(fake_compiler):
    """A repeated one would keep its frames alive."""
    errors = []
    for _ in range(2):
        with pytest.raises(RuntimeError) as error:
            stacked_lstm.load_native_ops()
        errors.append(error.value)
    assert errors[0] is not errors[1] and str(errors[0]) == str(errors[1]) == library.problem()


def test_ahead_of_time(fake_compiler, capsys):
    assert __main__.main() == 1
    assert "the native engine is not available: TensorFlow does not load" in capsys.readouterr().err


@native_ops.NEEDS_NATIVE
def test_ahead_of_time_where_it_is_built(capsys):
    assert __main__.main() == 0
    tools = op_library.toolchain()
    assert capsys.readouterr().out.startswith(
        f"found {library.LIBRARY.cache_path(tools)}\nby {' '.join(tools.command)} ("
    )


@native_ops.NEEDS_NATIVE
def test_imported_graphs(session, tmp_path):
    """An imported graph runs and has gradients in a process that has only called `load_native_ops`."""
    x = tf.placeholder(tf.float32, [2, 3, 4], name="x")
    outputs, _ = StackedLSTM([5], engine="native")(x)
    expected = [tf.identity(outputs, name="outputs"), tf.gradients(outputs, x)[0]]
    session.run(tf.global_variables_initializer())
    frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, ["outputs"])
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    values = np.random.RandomState(0).standard_normal([2, 3, 4])
    np.savez(str(tmp_path / "expected.npz"), *session.run(expected, {x: values}), x=values)
    programs.check(["-c", IMPORTS % {"directory": str(tmp_path)}])


IMPORTS = """
import numpy as np
import tensorflow.compat.v1 as tf
import stacked_lstm
tf.disable_v2_behavior()
stacked_lstm.load_native_ops()
definition = tf.GraphDef.FromString(open("%(directory)s/frozen.pb", "rb").read())
x, outputs = tf.import_graph_def(definition, return_elements=["x:0", "outputs:0"])
expected = np.load("%(directory)s/expected.npz")
ours = tf.Session().run([outputs, tf.gradients(outputs, x)[0]], {x: expected["x"]})
for k, array in enumerate(ours):
    assert np.any(array) and np.array_equal(array, expected["arr_%%d" %% k]), k
"""
