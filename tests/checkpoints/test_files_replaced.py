"""Existing files when a checkpoint is written: which are errors, replaced, removed or kept, also after a kill."""

import fcntl
import os
import socket
import stat

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.compat import tf
from support.files.checkpoint_files import arrays_in, folder
from support.files.recorded_files import Killed, Recorder
from support.networks.random_networks import GATES
from support.references.plain_lstm import float32_layers


@pytest.mark.parametrize("end", [".index", ".data-00000-of-00001"])
def test_a_folder_where_a_part_of_a_checkpoint_would_be(end, tmp_path):
    (tmp_path / ("own.ckpt" + end)).mkdir()
    with pytest.raises(ValueError, match="expected the name of a file, got the folder .*" + end):
        checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm", overwrite=True)
    assert os.listdir(str(tmp_path)) == ["own.ckpt" + end]


def test_parts_of_another_checkpoint(tmp_path):
    """Data without an index count as an existing file. Old shards and a file of version 1 are removed."""
    names_of_parts = ["own.ckpt.data-00000-of-00001", "own.ckpt.data-00001-of-00002", "own.ckpt"]
    for name in names_of_parts:
        (tmp_path / name).write_bytes(b"old")
        with pytest.raises(
            ValueError, match="expected the name of a new file, or `overwrite=True`, got .*, which exists"
        ):
            checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm")
    checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm", overwrite=True)
    assert set(folder(tmp_path)) == {"own.ckpt.data-00000-of-00001", "own.ckpt.index", "checkpoint"}


def test_links_and_modes_stay(tmp_path):
    (tmp_path / "to").mkdir()
    real, link = tmp_path / "to" / "real.npz", tmp_path / "link.npz"
    checkpoints.write(str(real), float32_layers([4], 3))
    os.chmod(str(real), 0o640)
    link.symlink_to(real)
    old_data = real.read_bytes()
    checkpoints.write(str(link), float32_layers([4], 3, seed=6), overwrite=True)
    assert os.path.islink(str(link)) and real.read_bytes() != old_data
    assert os.stat(str(real)).st_mode & 0o777 == 0o640


def test_overwriting_and_the_state_file(tmp_path):
    layers = float32_layers([4], 3)
    checkpoints.write(str(tmp_path / "a.ckpt"), layers, "stacked_lstm")
    checkpoints.write(str(tmp_path / "b.ckpt"), layers, "stacked_lstm")
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "a.ckpt")  # The first one stays the latest.
    layers[0]["Wf"][0, 0] = 77
    checkpoints.write(str(tmp_path / "a.ckpt"), layers, "stacked_lstm", overwrite=True)
    assert arrays_in(tmp_path / "a.ckpt")["stacked_lstm/layer_1/Wf"][0, 0] == 77
    assert arrays_in(tmp_path / "b.ckpt")["stacked_lstm/layer_1/Wf"][0, 0] != 77
    assert len(GATES) * 2 == len(arrays_in(tmp_path / "a.ckpt"))


@pytest.mark.parametrize(
    "name", ["model.npz", "model.h5", "own.ckpt", "own.ckpt.index", "own.ckpt.data-00000-of-00001"]
)
@pytest.mark.parametrize("kind", ["fifo", "socket", "link to a device"])
def test_what_is_no_file_is_not_replaced(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # The names of sockets must be short.
    if kind == "fifo":
        os.mkfifo(name)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(name)
    else:
        os.symlink("/dev/null", name)
    before = os.lstat(name)
    with pytest.raises(ValueError, match=f"the name of a file, got .*{name}, which is a FIFO, a socket or a device"):
        format = "stacked_lstm" if name.startswith("own") else None
        checkpoints.write(name.split(".ckpt")[0] + ".ckpt" * (format is not None), LAYERS, format, overwrite=True)
    assert os.lstat(name).st_ino == before.st_ino and os.listdir() == [name]
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


LAYERS = float32_layers([4], 3)


def numbers_in(path):
    return arrays_in(path)["stacked_lstm/layer_1/Wf"][0, 0]


def filled(number):
    return [{name: np.full_like(array, number) for name, array in layer.items()} for layer in LAYERS]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_killed_while_a_checkpoint_is_overwritten(times, tmp_path, monkeypatch):
    """After every event, TensorFlow reads either the old checkpoint or the new one, and writing again succeeds."""
    path = str(tmp_path / "own.ckpt")
    for number in range(times):
        checkpoints.write(path, filled(number), "stacked_lstm", overwrite=True)
    seen, last, is_complete = [], 0, False
    while not is_complete:
        with monkeypatch.context() as patch:
            Recorder(patch, last)
            try:
                checkpoints.write(path, filled(77), "stacked_lstm", overwrite=True)
                is_complete = True
            except Killed:
                pass
        seen.append(numbers_in(path))
        if not is_complete:
            checkpoints.write(path, filled(times - 1), "stacked_lstm", overwrite=True)
            assert numbers_in(path) == times - 1
        last += 1
    assert set(seen) == {times - 1, 77} and len(seen) > 6  # Old until the index is exchanged, new after that.
    assert len(list(tmp_path.glob("own.ckpt.*"))) in (2, 3)


def test_what_is_renamed_is_on_the_disk(tmp_path, monkeypatch):
    """Data, then the folder, then the index, then the folder; what is old goes last."""
    recorder, folder_name = Recorder(monkeypatch), tmp_path.name
    checkpoints.write(str(tmp_path / "model.npz"), LAYERS)
    assert recorder.events == [("fsync", "model.npz"), ("replace", "model.npz"), ("fsync", folder_name)]
    del recorder.events[:]
    for count in (1, 2):
        checkpoints.write(str(tmp_path / "own.ckpt"), LAYERS, "stacked_lstm", overwrite=True)
        events = [event for event in recorder.events if event[1].startswith("own.ckpt") or event[1] == folder_name]
        del recorder.events[:]
        parts = [f"own.ckpt.data-0000{k}-of-0000{count}" for k in range(count)] + ["own.ckpt.index"]
        expected = [("fsync", part) for part in parts]
        for part in parts:
            expected += [("replace", part), ("fsync", folder_name)]
        expected += [("remove", "own.ckpt.data-00000-of-00001")] * (count == 2)
        assert events[: len(expected)] == expected


def test_a_saver_restores_a_checkpoint_of_two_shards(tmp_path):
    path = str(tmp_path / "own.ckpt")
    for number in (1, 2):
        checkpoints.write(path, filled(number), "stacked_lstm", overwrite=True)
    assert len(list(tmp_path.glob("own.ckpt.data-*-of-00002"))) == 2
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {name: tf.Variable(np.zeros_like(array)) for name, array in arrays_in(path).items()}
        tf.train.Saver(variables).restore(session, path)
        for array in session.run(variables).values():
            np.testing.assert_array_equal(array, np.full_like(array, 2))


def test_a_link_to_a_checkpoint_of_version_1(tmp_path):
    """The new checkpoint is where the old one was, and is the latest there."""
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "old.ckpt").write_bytes(b"old")
    (tmp_path / "own.ckpt").symlink_to(tmp_path / "to" / "old.ckpt")
    checkpoints.write(str(tmp_path / "own.ckpt"), LAYERS, "stacked_lstm", overwrite=True)
    assert tf.train.latest_checkpoint(str(tmp_path / "to")) == str(tmp_path / "to" / "old.ckpt")
    assert tf.train.latest_checkpoint(str(tmp_path)) is None


def test_leftovers_of_killed_processes(tmp_path):
    """They are removed if they are old and no process holds them."""
    names = {".writing-old": True, ".writing-held": True, ".writing-young": False}
    for name, is_old in names.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.ckpt.index").write_bytes(b"part")
        if is_old:
            os.utime(str(tmp_path / name), (1, 1))
    held = os.open(str(tmp_path / ".writing-held"), os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    checkpoints.write(str(tmp_path / "model.npz"), LAYERS)
    os.close(held)
    assert sorted(os.listdir(str(tmp_path))) == [".writing-held", ".writing-young", "model.npz"]
