"""scripts/training/run_files/: what a run goes on from if files are gone or damaged, and who may train."""

import json
import os
import re
import subprocess
import sys

import pytest

from stacked_lstm.compat import tf
from support.files.recorded_files import Recorder
from support.suite.sets import ONCE
from support.training import tiny_task
from support.training.tiny_runs import SCRIPTS, assert_same, rows_of, weights
from tasks import TASKS
from training import experiment
from training.run_files import checkpoints, history, lock


@pytest.fixture(autouse=True)
def one_weight(monkeypatch):
    monkeypatch.setitem(TASKS, tiny_task.NAME, tiny_task.OneWeight)
    monkeypatch.setattr(experiment, "CHECKPOINTS_KEPT", 3)


@pytest.fixture
def trained(tmp_path):
    """The directory of a run of 3 epochs, of 3 steps each; the best one is the second."""
    tiny_task.run(tmp_path / "run", epochs=3)
    assert [os.path.basename(path) for path in checkpoints.complete(str(tmp_path / "run"))] == [
        "model.ckpt-9",
        "best.ckpt-6",
    ]
    return tmp_path / "run"


def assert_goes_on(directory, tmp_path):
    """The run in a directory goes on to the end of a run that nothing disturbed."""
    final = tiny_task.run(directory, epochs=5)
    assert final == tiny_task.run(tmp_path / "undisturbed", epochs=5)
    assert_same(weights(str(directory)), weights(str(tmp_path / "undisturbed")))
    assert rows_of(str(directory)) == rows_of(str(tmp_path / "undisturbed"))


DAMAGES = {
    "checkpoint gone": lambda run: (run / "checkpoint").unlink(),
    "checkpoint empty": lambda run: (run / "checkpoint").write_bytes(b""),
    "checkpoint no text": lambda run: (run / "checkpoint").write_bytes(b"\xff\xfe{{{"),
    "checkpoint of another folder": lambda run: (run / "checkpoint").write_text('model_checkpoint_path: "/no/x-1"\n'),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_run_without_its_checkpoint_file_goes_on_from_the_newest(trained, tmp_path, capsys, damage):
    DAMAGES[damage](trained)
    assert_goes_on(trained, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert (
        f"--train_dir: {trained}/checkpoint names no checkpoint; the newest intact checkpoint is {trained}/model.ckpt-9"
        in (lines)
    )
    assert any(line.startswith(f"going on from {trained}/model.ckpt-9, 3.00 epochs") for line in lines)


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_passed_over(trained, tmp_path, capsys, part):
    """The best checkpoint, of the epoch before, is intact."""
    path = trained / f"model.ckpt-9.{part}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_goes_on(trained, tmp_path)
    assert f"the newest intact checkpoint is {trained}/best.ckpt-6" in capsys.readouterr().out


def test_no_intact_checkpoint_is_an_error_that_says_how_to_start_anew(trained, tmp_path):
    for path in trained.glob("*.ckpt-*.data-*"):
        path.write_bytes(path.read_bytes()[:3])
    (trained / "checkpoint").unlink()
    before = (trained / history.FILE).read_bytes()
    with pytest.raises(
        ValueError, match="expected a whole checkpoint .*; no other .* intact: to start anew, delete .*run"
    ):
        tiny_task.run(trained)
    for path in trained.glob("*ckpt*"):
        path.unlink()
    with pytest.raises(
        ValueError, match="expected the checkpoints of a run with 3 epochs .*; to start anew, delete .*run"
    ):
        tiny_task.run(trained)
    assert (trained / history.FILE).read_bytes() == before
    (trained / history.FILE).unlink()
    tiny_task.run(trained)  # Nothing of a run is left.


def test_checkpoints_without_history_are_refused_also_without_the_checkpoint_file(trained):
    (trained / history.FILE).unlink()
    (trained / "checkpoint").unlink()
    with pytest.raises(ValueError, match="--train_dir: expected history.json next to the checkpoints in .*start anew"):
        tiny_task.run(trained)


@ONCE
@pytest.mark.parametrize(
    "name", ["checkpoint", history.FILE, lock.FILE, "vocabulary.txt", "model.ckpt-12.index", "curves.png"]
)
def test_a_directory_in_the_place_of_a_file(trained, tmp_path, name):
    """Each is one line that names the file; without the directory the run goes on."""
    path = trained / name
    if path.exists():
        path.rename(tmp_path / "moved")
    path.mkdir()
    with pytest.raises((ValueError, OSError)) as raised:
        tiny_task.run(trained, epochs=5)
    message = str(raised.value)
    assert message.startswith("--train_dir: expected ") and "\n" not in message
    assert str(path).replace(".index", "") in message
    path.rmdir()
    if (tmp_path / "moved").exists():
        (tmp_path / "moved").rename(path)
    assert_goes_on(trained, tmp_path)


def test_what_a_killed_run_leaves_is_removed(trained):
    stay = {"lock", "notes.txt", "notes.tmp", "model.ckpt-notes"}
    for name in ["notes.txt", "notes.tmp", "model.ckpt-notes"]:
        (trained / name).write_text("a user's")
    before = {name for name in os.listdir(trained) if not name.startswith("events")}
    for name in [
        "model.ckpt-12.data-00000-of-00001.tempstate123",
        "model.ckpt-12.data-00000-of-00001",
        "best.ckpt-3.meta",
        "checkpoint.tmp0a1b2c",
        "checkpoint.tmp-17",
        "history.tmp-17.json",
        "curves.tmp-17.png",
        "vocabulary.tmp-17.txt",
    ]:
        (trained / name).write_text("half")
    for name in [".writing-abc", "model.ckpt-12_temp"]:
        (trained / name).mkdir()
        (trained / name / "part").write_text("half")
    for part in ("index", "data-00000-of-00001"):
        (trained / f"best.ckpt-3.{part}").write_bytes((trained / f"best.ckpt-6.{part}").read_bytes())
        (trained / f"model.ckpt-3.{part}").write_bytes((trained / f"model.ckpt-9.{part}").read_bytes())
    tiny_task.run(trained, epochs=3)
    assert {name for name in os.listdir(trained) if not name.startswith("events")} == before >= stay


def test_the_best_checkpoint_may_be_that_of_the_last_epoch(trained):
    """If best.ckpt-9 is gone, model.ckpt-9 has the same weights."""
    tiny_task.run(trained.parent / "two", epochs=2)
    for path in (trained.parent / "two").glob("best*"):
        path.unlink()
    assert experiment.find_checkpoint(str(trained.parent / "two")).endswith("model.ckpt-6")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of open files are read on Linux")
def test_what_is_renamed_or_named_is_on_the_disk(tmp_path, monkeypatch):
    """Files, then their folder, then the file that names them; what is old goes last."""
    recorder, save = Recorder(monkeypatch), tf.train.Saver.save

    def recorded_save(*args, **kwargs):
        recorder.events.append(("save", os.path.basename(args[2])))
        return save(*args, **kwargs)

    monkeypatch.setattr(tf.train.Saver, "save", recorded_save)
    tiny_task.run(tmp_path / "run", epochs=1)
    events = [(name, file.replace(f".tmp-{os.getpid()}", "")) for name, file in recorder.events]

    def saved(base, name):
        parts = [f"{name}.data-00000-of-00001", f"{name}.index", f"{name}.meta"]
        return [("save", base), *[("fsync", part) for part in parts], ("fsync", "run")]

    def replaced(name):
        return [("fsync", name), ("replace", name), ("fsync", "run")]

    epoch = saved("best.ckpt-3", "best.ckpt-3") + replaced("history.json")
    epoch += saved("model.ckpt", "model.ckpt-3") + replaced("checkpoint") + [("remove", "model.ckpt-0.index")]
    start = events.index(epoch[0])
    assert events[start : start + len(epoch)] == epoch
    first = [("fsync", tmp_path.name), *replaced("history.json")]  # The new directory, then its first file.
    assert events[: len(first)] == first
    first_checkpoint = saved("model.ckpt", "model.ckpt-0") + replaced("checkpoint")
    start = events.index(first_checkpoint[0])
    assert events[start : start + len(first_checkpoint)] == first_checkpoint
    places = [k for k, (name, _) in enumerate(events) if name == "replace"]
    assert len(places) > 5  # The vocabulary, the projector's file and the pictures, too.
    for k in places:
        assert events[k - 1 : k + 2] == replaced(events[k][1])


# history.json

ROW = {"epoch": 1, "global_step": 3, "seconds": 1.0, "learning_rate": 0.1}
ROW.update({f"{part}_{name}": 0.5 for part in ("train", "validation", "test") for name in ("loss", "error")})


@pytest.mark.parametrize(
    "epochs, message",
    [
        ([1, 2], "got 1 as epoch 1"),
        ("text", "got 'text' as epochs"),
        ([None], "got None as epoch 1"),
        ([[ROW]], "as epoch 1"),
        ([{}], "got epoch 1 without epoch"),
        ([{name: ROW[name] for name in ROW if name != "seconds"}], "got epoch 1 without seconds"),
        ([dict(ROW, epoch="1")], "got epoch '1' in epoch 1"),
        ([dict(ROW, epoch=2)], "got epoch 2 in the place of epoch 1"),
        ([dict(ROW, global_step=1.5)], "got global_step 1.5 in epoch 1"),
        ([dict(ROW, train_loss=float("nan"))], "got train_loss nan in epoch 1"),
        ([dict(ROW, train_loss=10**400)], "got train_loss 1000.*[.]{3} in epoch 1"),
        ([dict(ROW, train_loss=True)], "got train_loss True in epoch 1"),
        ([dict(ROW, train_loss=[])], "got train_loss .* in epoch 1"),
        ([{name: ROW[name] for name in ROW if name != "test_error"}], "expected test_error of epoch 1"),
    ],
)
def test_damaged_rows_of_the_history(trained, epochs, message):
    path = trained / history.FILE
    path.write_text(json.dumps(dict(json.loads(path.read_text()), epochs=epochs)))
    with pytest.raises(ValueError, match="^--train_dir: expected .*history.json.*") as raised:
        tiny_task.run(trained)
    assert re.search(message, str(raised.value)) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"[[[[", b"[" * 100000, b'{"a":' * 100000, b"", b"7", b"{}", b'{"flags": 1, "epochs": []}', b"\xff", b"1" * 5000]
    + [b'{"flags": {}, "epochs": {}}', b'{"epochs": []}'],
)
def test_damaged_histories(trained, content):
    (trained / history.FILE).write_bytes(content)
    for read in (lambda: tiny_task.run(trained), lambda: experiment.read_settings(str(trained))):
        with pytest.raises(ValueError, match="^--train_dir: expected .*history.json") as raised:
            read()
        assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "name, value",
    [("task", []), ("task", {}), ("hidden_sizes", "32"), ("hidden_sizes", [True]), ("hidden_sizes", []), ("seed", 1.5)]
    + [("engine", "steam"), ("learning_rate", "x"), ("batch_size", True)],
)
def test_flags_that_no_command_line_could_have_given(trained, name, value):
    path = trained / history.FILE
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(content, flags=dict(content["flags"], **{name: value}))))
    with pytest.raises(ValueError, match=f"^--train_dir: .*{name}"):
        experiment.read_settings(str(trained))


# One training at a time


def test_a_second_training_is_told_who_has_the_directory(tmp_path, capsys):
    directory = str(tmp_path / "run")
    with lock.hold(directory):
        message = (
            rf"got {directory}, which process {os.getpid()} on \S+ \(since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\) uses$"
        )
        with pytest.raises(ValueError, match="^--train_dir: expected a directory in which no other .*, " + message):
            tiny_task.run(directory)
    tiny_task.run(directory)
    tiny_task.run(directory)


@ONCE
def test_the_lock_ends_with_its_process(tmp_path):
    """Another process has the lock; it is killed, and its lock is free although the file is still there."""
    program = (
        "import sys, time\nfrom training.run_files import lock\n"
        "with lock.hold(sys.argv[1]):\n  print(1, flush=True)\n  time.sleep(99)"
    )
    path = os.pathsep.join([SCRIPTS, os.path.dirname(SCRIPTS)])
    directory = str(tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, "-c", program, directory], env=dict(os.environ, PYTHONPATH=path), stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"1\n"
        with pytest.raises(ValueError, match=f"which process {process.pid} on .* uses"):
            tiny_task.run(directory)
    finally:
        process.kill()
        process.communicate()
    assert os.path.isfile(os.path.join(directory, lock.FILE))
    tiny_task.run(directory)


def test_a_run_that_began_and_ended_meanwhile_is_gone_on_from(tmp_path, monkeypatch):
    """Two commands begin in a directory that does not exist; while one reads its data, the other does everything."""
    directory = tmp_path / "run"
    read, done = tiny_task.OneWeight.read, []

    def read_slowly(task):
        read(task)
        if not done:
            done.append(True)
            done.append(tiny_task.run(directory))

    monkeypatch.setattr(tiny_task.OneWeight, "read", read_slowly)
    assert tiny_task.run(directory) == done[1]
    assert len(rows_of(str(directory))) == 4


# TensorBoard


def events_in(directory):
    """(file number, step, tag or "START") of everything in the files of events, in the order of writing."""
    for number, path in enumerate(sorted(directory.glob("events*"), key=lambda path: path.stat().st_mtime_ns)):
        for event in tf.train.summary_iterator(str(path)):
            if event.HasField("session_log"):
                yield number, event.step, "START"
            for value in event.summary.value:
                yield number, event.step, value.tag


def test_scalars_are_on_the_disk_before_their_checkpoint(tmp_path, monkeypatch):
    """A copy of the directory at each change of `checkpoint`, as a killed process leaves it, has all scalars so far."""
    directory, counts = tmp_path / "run", []
    save = tf.train.Saver.save

    def save_and_look(saver, session, path, *args, **kwargs):
        if path.endswith(checkpoints.LAST):
            counts.append(sum(tag == "loss/test" for _, _, tag in events_in(directory)))
        return save(saver, session, path, *args, **kwargs)

    monkeypatch.setattr(tf.train.Saver, "save", save_and_look)
    tiny_task.run(directory, epochs=3)
    assert counts == [0, 1, 2, 3]


def test_tensorboard_drops_only_what_comes_after_the_checkpoint(trained):
    """It drops the steps from that of a START on. The second file's START is after the last epoch of the first."""
    tiny_task.run(trained, epochs=4)
    events = list(events_in(trained))
    assert [step for number, step, tag in events if tag == "START"] == [1, 10]
    assert [(number, step) for number, step, tag in events if tag == "loss/test"] == [(0, 3), (0, 6), (0, 9), (1, 12)]


@pytest.mark.parametrize("is_relative", [True, False])
def test_the_state_names_the_checkpoint_in_its_directory(tmp_path, monkeypatch, is_relative):
    """From the working directory and from elsewhere, and after the directory has moved."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    path = os.path.join("runs" if is_relative else str(tmp_path / "runs"), "model.ckpt-3")
    for suffix in (".index", ".data-00000-of-00001"):
        open(path + suffix, "w").close()
    checkpoints.write_state(path)
    assert checkpoints.last(os.path.dirname(path)) == path
    os.rename("runs", "moved")
    assert checkpoints.last("moved") == os.path.join("moved", "model.ckpt-3")
