"""A training is killed, or its disk is full, at each change of a file: the same command goes on to the same end."""

import os

import pytest

from shared import pictures
from support.files import file_events
from support.suite.sets import EXHAUSTIVE, ONCE
from support.training import tiny_task
from support.training.tiny_runs import assert_same, files_of, rows_of, values_in
from tasks import TASKS
from training import trainer
from training.run_files import checkpoints

EVENTS = "events.out.tfevents."


@pytest.fixture(autouse=True)
def one_weight(monkeypatch):
    monkeypatch.setitem(TASKS, tiny_task.NAME, tiny_task.OneWeight)
    monkeypatch.setattr(pictures, "curves", lambda *args: None)  # The file is written all the same.


def end_of(directory):
    """What a run leaves, without times: the names of its files, its history, and the values in its checkpoints."""
    # TensorFlow writes the graph, .meta, after the checkpoint counts: a run that is killed in between has none.
    names = sorted(name for name in os.listdir(directory) if not name.startswith(EVENTS) and ".meta" not in name)
    paths = checkpoints.complete(directory)
    return names, rows_of(directory), {os.path.basename(path): values_in(path) for path in paths}


def left_in(directory):
    """What the next run goes on from: (file, content), without what differs from run to run; None without a folder."""
    if not os.path.isdir(directory):
        return None
    left = []
    for name, content in files_of(directory).items():
        if name.startswith(EVENTS):  # They have the time in their name and inside.
            left.append((EVENTS, len(content)))
        else:
            left.append((name, None if ".meta" in name else content))  # Nothing reads the graph.
    return left


def assert_same_end(directory, expected):
    (names, rows, values), (expected_names, expected_rows, expected_values) = end_of(directory), expected
    assert names == expected_names and rows == expected_rows
    for name in expected_values:
        assert_same(values[name], expected_values[name])


@pytest.fixture
def whole(tmp_path):
    """(the final numbers, `end_of`) of a run that nothing disturbs."""
    final = tiny_task.run(tmp_path / "whole")
    return final, end_of(str(tmp_path / "whole"))


def test_what_the_run_leaves(whole):
    """The best epoch is in the middle; one checkpoint to go on from is kept besides the best one."""
    final, (names, rows, values) = whole
    assert 1 < final["best_epoch"] < final["epoch"] == len(rows) == 4
    assert sorted(values) == [f"best.ckpt-{3 * final['best_epoch']}", "model.ckpt-12"]
    assert [name for name in names if "ckpt" not in name] == [
        "checkpoint",
        "curves.png",
        "history.json",
        "lock",
        "projector_config.pbtxt",
        "vocabulary.txt",
    ]


@pytest.mark.parametrize("part", [0] + [pytest.param(part, marks=EXHAUSTIVE) for part in range(1, 8)])
def test_killed_at_each_change_of_a_file(whole, tmp_path, monkeypatch, part):
    """Each eighth of the moments is one case; every epoch has moments in each."""
    monkeypatch.setattr(trainer, "SAVE_SECONDS", -1)  # A checkpoint before every step.
    final, expected = whole
    snapshots = file_events.Snapshots(str(tmp_path / "run"), str(tmp_path / "copies"))
    with file_events.before_each(snapshots.take):
        assert tiny_task.run(tmp_path / "run") == final
    assert len(snapshots.paths) > 60
    assert {os.path.basename(path)[4:] for path in snapshots.paths} >= {"replace", "save", "rename", "remove", "open"}
    for path in snapshots.paths[part::8]:
        assert tiny_task.run(path) == final, path
        assert_same_end(path, expected)


@ONCE
@pytest.mark.parametrize("first", [0, pytest.param(1, marks=EXHAUSTIVE)])
def test_full_disk_at_each_change_of_a_file(whole, tmp_path, first):
    """Each half of the changes up to the first checkpoint is one case."""
    final, expected = whole
    names, number, left = set(), first, None
    while True:
        disk, directory = file_events.FullDisk(number), tmp_path / f"run{number}"
        with file_events.before_each(disk):
            try:
                tiny_task.run(directory)
                assert disk.name is None
                break
            except OSError as error:
                line = str(error)
        assert (
            line.startswith("--train_dir: expected to write ")
            and line.endswith(", got No space left on device")
            or (line.endswith("; No space left on device"))
        ), line
        assert str(directory) in line and "\n" not in line
        names.add(disk.name)
        number += 2 if number < 31 else 17  # The 31st ends the first checkpoint. Later ones have calls of all kinds.
        before, left = left, left_in(str(directory))
        if left != before:  # Otherwise the last run has gone on from the same files.
            assert tiny_task.run(directory) == final
            assert_same_end(str(directory), expected)
    kinds = {"replace", "open", "save", "write", "flush", "fsync", "atomic_write_string_to_file"}
    assert names >= kinds | ({"makedirs", "rename"} if first == 0 else set()) and number > 30
