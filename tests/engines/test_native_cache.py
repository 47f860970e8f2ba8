"""The folder of the native library: whom it trusts, who waits for whom, and what is no library."""

import os
import stat
import subprocess
import sys
import tempfile

import pytest

from stacked_lstm.compilation import cache_folder, compiler
from stacked_lstm.engines import op_library
from stacked_lstm.engines.native import __main__, library
from support.engines.fake_builds import calls, problem
from support.suite.sets import ONCE


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
