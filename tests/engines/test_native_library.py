"""The native library: building, caching and loading it, and what happens if that fails."""

import logging
import multiprocessing
import os
import re
import stat
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from stacked_lstm.compilation import cache_folder, compiler
from stacked_lstm.engines import op_library
from stacked_lstm.engines.native import __main__, library
from support import native_ops, programs
from support.sets import ONCE


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


def calls(log):
    """How many times the library was linked."""
    return sum("-shared" in line for line in log.read_text().split("\n")) if log.exists() else 0


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


def problem():
    with pytest.raises(compiler.BuildError) as errors:
        library.load()
    return str(errors.value)


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
def test_what_is_no_library(fake_compiler):
    assert "TensorFlow does not load the library" in problem()


def test_a_directory_that_others_may_write(fake_compiler, new_cache):
    new_cache.mkdir(mode=0o700)
    new_cache.chmod(0o777)
    assert f"other users can write to {new_cache}, and so choose which code runs" in problem()
    assert calls(fake_compiler) == 0


@pytest.mark.parametrize(
    "owner, group, mode, trusted",
    [
        (7, 0, 0o700, True),
        (7, 0, 0o755, True),
        (0, 0, 0o755, True),
        (8, 0, 0o755, False),
        (7, 0, 0o770, False),
        (7, 7, 0o775, True),  # The user's own group.
        (7, 7, 0o777, False),
        (8, 7, 0o770, False),
        (0, 0, 0o777, False),
    ],
)
def test_whose_directories_are_trusted(owner, group, mode, trusted, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 7)
    assert cache_folder.is_private(os.stat_result([mode, 0, 0, 1, owner, group, 0, 0, 0, 0])) == trusted


@ONCE
@pytest.mark.parametrize("mode, trusted", [(0o777, False), (0o1777, True), (0o755, True)])
def test_folders_above_the_cache(mode, trusted, fake_compiler, monkeypatch, tmp_path):
    """Who may rename a folder above it may put another one in its place. In a sticky folder, only its owner may."""
    above = tmp_path / "above"
    (above / "between").mkdir(parents=True)
    monkeypatch.setenv(library.CACHE_VARIABLE, str(above / "between" / "cache"))
    os.chmod(str(above), mode)
    if trusted:
        assert library.LIBRARY.find_or_build()[1]
    else:
        assert f"other users can write to {above}, and so choose which code runs" in problem()


@ONCE
def test_a_link_to_the_cache(fake_compiler, monkeypatch, new_cache, tmp_path):
    """It is resolved once; the folders that count are those above its end."""
    new_cache.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(new_cache)
    monkeypatch.setenv(library.CACHE_VARIABLE, str(tmp_path / "link"))
    path, _ = library.LIBRARY.find_or_build()
    assert os.path.dirname(path) == str(new_cache)
    with pytest.raises(OSError), cache_folder.opened(str(tmp_path / "link")):  # A link that was put there since.
        pass


@ONCE
@pytest.mark.parametrize("kind", ["link", "fifo", "mode", "owner"])
def test_what_is_not_a_library_of_this_user(kind, fake_compiler, monkeypatch, tmp_path):
    """It is not loaded, and does not hang; a library takes its place."""
    path, _ = library.LIBRARY.find_or_build()
    if kind == "owner":
        owner = os.stat(path).st_uid
        is_private = cache_folder.is_private
        monkeypatch.setattr(
            cache_folder,
            "is_private",
            lambda status, **options: not stat.S_ISREG(status.st_mode) and is_private(status, **options),
        )
        assert library.LIBRARY.find_or_build() == (path, True) and os.stat(path).st_uid == owner
        return
    os.rename(path, str(tmp_path / "library.so"))
    if kind == "link":
        os.symlink(str(tmp_path / "library.so"), path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.rename(str(tmp_path / "library.so"), path)
        os.chmod(path, 0o706)
    assert library.LIBRARY.find_or_build() == (path, True) and library.LIBRARY.find_or_build() == (path, False)
    status = os.lstat(path)
    assert stat.S_ISREG(status.st_mode) and not status.st_mode & 0o022


@ONCE
@pytest.mark.parametrize("where", ["lock", "variable"])
def test_a_fifo_elsewhere_does_not_hang(where, fake_compiler, monkeypatch, tmp_path):
    fifo = str(tmp_path / "fifo")
    if where == "lock":
        fifo = library.LIBRARY.cache_path(op_library.toolchain()) + ".lock"
    else:
        monkeypatch.setenv(library.LIBRARY_VARIABLE, fifo)
    os.mkfifo(fifo)
    if where == "lock":
        assert library.LIBRARY.find_or_build()[1]
    else:
        assert "STACKED_LSTM_NATIVE_LIBRARY names no library" in problem()


@ONCE
def test_everybody_may_write_what_this_process_makes(fake_compiler):
    """The library is private all the same."""
    mask = os.umask(0)
    try:
        path, _ = library.LIBRARY.find_or_build()
    finally:
        os.umask(mask)
    assert not os.stat(path).st_mode & 0o022 and library.LIBRARY.find_or_build() == (path, False)


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


BUILDER = """
import os, signal, sys
from stacked_lstm.compilation import cache_folder
with cache_folder.opened(sys.argv[1]) as folder, cache_folder.locked(sys.argv[2], folder):
    print("locked", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@ONCE
def test_a_process_that_builds_and_is_stopped(fake_compiler, monkeypatch, caplog):
    """Others say for whom they wait, and give up. When it has died, they build."""
    path = library.LIBRARY.cache_path(op_library.toolchain())
    command = [sys.executable, "-c", BUILDER, os.path.dirname(path), os.path.basename(path) + ".lock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as builder:
        try:
            assert builder.stdout.readline() == b"locked\n"
            monkeypatch.setattr(cache_folder, "SECONDS", 1)
            monkeypatch.setattr(cache_folder, "_SILENT_SECONDS", 0.1)
            with pytest.raises(compiler.BuildError, match=f"^process {builder.pid} on .* within 1 seconds$"):
                library.LIBRARY.find_or_build()
            (line,) = [r.getMessage() for r in caplog.records if "waiting" in r.getMessage()]
            assert f"at most 1 seconds for process {builder.pid} on " in line and calls(fake_compiler) == 0
        finally:
            builder.kill()
    assert library.LIBRARY.find_or_build() == (path, True)


@ONCE
def test_leftovers_of_killed_builds(fake_compiler, new_cache):
    new_cache.mkdir(mode=0o700)
    for name in ("build-old", "build-young"):
        (new_cache / name).mkdir()
        (new_cache / name / "ops.cc.o").write_bytes(b"part")
    os.utime(str(new_cache / "build-old"), (1, 1))
    library.LIBRARY.find_or_build()
    assert sorted(name for name in os.listdir(str(new_cache)) if "build" in name) == ["build-young"]


@ONCE
@pytest.mark.parametrize("variable", [library.CACHE_VARIABLE, "XDG_CACHE_HOME", None])
def test_directories_without_a_root(variable, fake_compiler, monkeypatch, tmp_path):
    """For example ~ if the user has no home: nothing is made in the working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(str(tmp_path / "here"))
    monkeypatch.delenv(library.CACHE_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    if variable:
        monkeypatch.setenv(variable, "cache")
    assert f"set {library.CACHE_VARIABLE} to an absolute path, not '{'cache' if variable else '~'}" in problem()
    assert os.listdir(".") == []


def raise_no_space(*args, **kwargs):
    raise OSError(28, "No space left on device")


@ONCE
@pytest.mark.parametrize("where", [(os, "makedirs"), (tempfile, "TemporaryDirectory"), (os, "replace"), None])
def test_no_room(where, fake_compiler, monkeypatch, capsys):
    """An error of the system is one line, not a traceback."""
    if where:
        monkeypatch.setattr(*where, raise_no_space)
    else:  # A lock that not even root can open.
        os.makedirs(library.LIBRARY.cache_path(op_library.toolchain()) + ".lock")
    assert __main__.main() == 1
    message = capsys.readouterr().err
    assert "is not available: the library cannot be kept: [Errno" in message
    assert message.count("\n") == 1


@ONCE
@pytest.mark.skipif(cache_folder.fcntl is None, reason="no locks here")
def test_file_systems_without_locks(fake_compiler, monkeypatch):
    monkeypatch.setattr(cache_folder.fcntl, "flock", raise_no_space)
    path, is_new = library.LIBRARY.find_or_build()
    assert is_new and library.LIBRARY.find_or_build() == (path, False)


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
