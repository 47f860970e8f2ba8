"""Building, keeping and loading the native engine; which layers it runs, and why "auto" passes it over."""

import logging
import multiprocessing
import os
import stat

import pytest

import native_ops
from stacked_lstm import StackedLSTM, engines
from stacked_lstm.compat import tf
from stacked_lstm.engines import native
from stacked_lstm.engines.native import __main__, library


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process that has loaded nothing yet, with an empty cache."""
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setenv(library.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick(fresh, monkeypatch, tmp_path):
    """A compiler that takes no time: it writes something to what comes after -o, and a line to a log."""
    compiler = tmp_path / "compiler"
    script = (
        '#!/bin/sh\n[ "$1" = --version ] && exec echo quick 1.0\necho "$@" >> %s\nsleep 0.2\nwhile [ "$1" != -o ]; '
    )
    script += 'do shift; done\necho made > "$2"\n'
    compiler.write_text(script % (tmp_path / "log"))
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    return tmp_path / "log"


def calls(log):
    """How often the library was linked."""
    return sum("-shared" in line for line in log.read_text().split("\n")) if log.exists() else 0


def test_built_once_and_kept_private(quick, fresh, caplog):
    with caplog.at_level(logging.WARNING, "stacked_lstm"):
        path, is_new = library.built()
        assert is_new and library.built() == (path, False) and calls(quick) == 1
    assert len(caplog.records) == 1 and path in caplog.records[0].getMessage()
    assert stat.S_IMODE(os.stat(str(fresh)).st_mode) == 0o700
    left = sorted(os.listdir(str(fresh)))
    assert left == sorted([os.path.basename(path), os.path.basename(path) + ".lock"])  # Nothing half made.


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b"x" + b[1:], lambda b: b"foreign"])
def test_damaged_files_are_built_again(damage, quick):
    path, _ = library.built()
    with open(path, "rb") as file:
        contents = file.read()
    with open(path, "wb") as file:
        file.write(damage(contents))
    assert library.built() == (path, True) and calls(quick) == 2
    with open(path, "rb") as file:
        assert file.read() == contents


@pytest.mark.parametrize("change", ["version", "processor", "compile_flags", "source"])
def test_another_key_is_another_file(change, quick, monkeypatch):
    tools = library.toolchain()
    before = library.path(tools)
    if change == "source":
        monkeypatch.setattr(library, "_files", lambda *endings: ["vector.h"])
    else:
        tools = tools._replace(**{change: "another"})
    assert library.path(tools) != before


def test_processes_at_once_build_once(quick):
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(_built, range(3), chunksize=1)
    assert sorted(is_new for _, is_new in found) == [False, False, True] and calls(quick) == 1


def _built(_):
    return library.built()


def problem():
    with pytest.raises(library.BuildError) as raised:
        library.load()
    return str(raised.value)


def test_no_compiler(fresh, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/compiler")
    assert "there is no C++ compiler: expected the CXX of the environment, '/nowhere/compiler'" in problem()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(fresh))
    library._loaded.clear()
    assert "there is no C++ compiler: expected one of g++, clang++, c++ on the path" in problem()


def test_broken_compiler(quick, monkeypatch, tmp_path):
    compiler = tmp_path / "broken"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo broken 1.0\necho cannot do this >&2; exit 3\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    words = problem()
    assert "exited with 3 and said:\ncannot do this" in words and str(compiler) in words
    monkeypatch.setenv("CXX", str(quick))  # A failure is remembered: no second attempt in this process.
    assert problem() == words


def test_what_is_no_library(quick):
    assert "TensorFlow does not load the library" in problem()


def test_a_directory_that_others_may_write(quick, fresh):
    fresh.mkdir(mode=0o700)
    fresh.chmod(0o777)
    assert "to be the user's own and closed to others' writing" in problem()
    assert calls(quick) == 0


def test_without_it(quick, caplog):
    """By name it is an error with the compiler's words; "auto" goes on with graph."""
    with pytest.raises(ValueError, match="lstm: expected layers that engine 'native' supports, got TensorFlow"):
        StackedLSTM([2], engine="native", name="lstm")(tf.zeros([1, 1, 1]))
    for name in ("one", "other"):
        lstm = StackedLSTM([2], name=name)
        lstm(tf.zeros([1, 1, 1]))
        assert lstm.engine_used.name == "graph"
        assert "not native: TensorFlow does not load the library" in lstm.engine_used.reason
    warnings = [r.getMessage() for r in caplog.records if "engine" in r.getMessage()]
    assert sum("building the native engine" in text for text in warnings) == 1
    assert sum("goes on without the native engine" in text for text in warnings) == 1


def test_ahead_of_time(quick, capsys):
    assert __main__.main() == 1
    assert "the native engine is not available: TensorFlow does not load" in capsys.readouterr().err


@native_ops.NEEDS_NATIVE
def test_ahead_of_time_where_it_is_built(capsys):
    assert __main__.main() == 0
    tools = library.toolchain()
    assert capsys.readouterr().out.startswith("found %s\nby %s (" % (library.path(tools), tools.compiler))


# What each condition keeps away: the condition's name, its words, and the stack.

KEPT_AWAY = {
    "_dtype": ("it computes in float32 and float64, not in float16", {"dtype": tf.float16}),
    "_named_activations": ("the activation <lambda> is a function", {"activation": lambda x: tf.tanh(x)}),
    "_plain_equations": None,  # tests/test_rnn_cell_engines.py: StackedLSTM has no peepholes.
    "_on_a_cpu": ("the device is /device:GPU:0", {}),
    "_compiled": ("TensorFlow does not load the library", {}),
    "_no_gpu": ("there is a GPU", {}),
    "_outside_of_functions": ("XLA may compile what is inside functions", {}),
}


def test_every_condition_has_a_test():
    assert list(KEPT_AWAY) == [condition.__name__ for condition in native.CONDITIONS + native.PREFERENCES]


def used(**options):
    lstm = StackedLSTM([2], **options)
    lstm(tf.zeros([1, 1, 1], options.get("dtype", tf.float32)))
    return lstm.engine_used


@native_ops.NEEDS_NATIVE
def test_taken_by_auto():
    assert used() == ("native", "the first engine that supports these layers")
    with tf.device("/device:CPU:0"):
        assert used(name="placed").name == "native"


@pytest.mark.parametrize("condition", ["_dtype", "_named_activations"])
def test_layers_it_does_not_support(condition):
    words, options = KEPT_AWAY[condition]
    assert used(**options).name == "graph" and "not native: " + words in used(name="again", **options).reason
    with pytest.raises(ValueError, match="expected layers that engine 'native' supports, got " + words):
        used(name="by_name", engine="native", **options)


@native_ops.NEEDS_NATIVE
def test_devices_other_than_the_cpu(monkeypatch):
    with tf.device("/device:GPU:0"):
        assert KEPT_AWAY["_on_a_cpu"][0] in used().reason
        with pytest.raises(ValueError, match=KEPT_AWAY["_on_a_cpu"][0]):
            used(name="by_name", engine="native")
    monkeypatch.setattr(tf.config.experimental, "list_physical_devices", lambda kind: [kind])
    assert KEPT_AWAY["_no_gpu"][0] in used(name="with_gpu").reason
    assert used(name="asked_for", engine="native").name == "native"


@native_ops.NEEDS_NATIVE
def test_inside_control_flow(control_flow):
    found = []
    tf.while_loop(lambda k: k < 1, lambda k: (found.append(used()), k + 1)[1], [0])
    assert KEPT_AWAY["_outside_of_functions"][0] in found[0].reason


def test_order():
    assert list(engines.ENGINES) == ["native", "graph"]
