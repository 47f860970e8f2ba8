"""scripts/training/experiment.py: when training stops and which checkpoint is the best, with a stand-in trainer."""

import collections
import os

import pytest

from support.suite.sets import ONCE
from support.training.tiny_runs import LEARNING, assert_same, rows_of, run, values_in
from tasks import TASKS
from training import experiment
from training.run_files import history

Parts = collections.namedtuple("Parts", ["METRIC", "validation", "parts"])


class Pretender:
    """A `trainer.Trainer` of one batch per epoch whose validation losses are `losses`."""

    steps_per_epoch = 1

    def __init__(self, losses, directory):
        self.step, self.losses, self.saved, self.best = 0, losses, [], []
        self.last_checkpoint = directory

    def train_epoch(self, on_batch):
        self.step += 1
        return 1.0

    def evaluate(self, examples):
        return (self.losses[self.step - 1] if examples == "held out" else 0.5), 0.25

    def save(self):
        self.saved.append(self.step)

    def save_best(self):
        self.best.append(self.step)

    def keep_best(self, step):
        assert step == self.best[-1] == self.saved[-1]

    def summarize(self, row):
        pass


def fit(tmp_path, losses, epochs=9, validation="held out", past=None, **settings):
    """Returns (trainer, history) after training with these validation losses."""
    past = past or history.History(str(tmp_path), {})
    past.create()
    parts = collections.OrderedDict([("train", "learnt"), ("validation", validation), ("test", "others")])
    if not validation:
        del parts["validation"]
    trainer = Pretender(losses, str(tmp_path))
    trainer.step = len(past.rows)
    task = Parts("accuracy", validation, lambda: parts)
    experiment.fit(trainer, task, past, dict(settings, epochs=epochs, learning_rate=0.1))
    return trainer, past


@pytest.mark.parametrize(
    "losses, patience, trained, best",
    [
        ([5, 4, 3, 2, 1], 1, 5, [1, 2, 3, 4, 5]),
        ([5, 4, 4, 3, 1], 1, 3, [1, 2]),  # As good is not better.
        ([5, 6, 4, 5, 4.5, 3], 2, 5, [1, 3]),
        ([5, 6, 7, 8], 3, 4, [1]),
        ([5, 6, 7, 4, 5], 3, 5, [1, 4]),
    ],
)
def test_training_stops_after_epochs_without_a_better_validation_loss(tmp_path, losses, patience, trained, best):
    trainer, past = fit(tmp_path, losses, epochs=5, patience=patience)
    assert trainer.step == trained and trainer.saved == list(range(1, trained + 1))
    assert trainer.best == best
    assert past.best()["epoch"] == best[-1] == past.summary("accuracy")["best_epoch"]
    assert past.summary("accuracy")["epoch"] == trained


def test_a_stopped_run_stays_stopped_and_more_patience_goes_on(tmp_path):
    losses = [5, 6, 7, 4, 9, 9]
    _, past = fit(tmp_path, losses, patience=2)
    assert len(past.rows) == 3
    trainer, _ = fit(tmp_path, losses, patience=2, past=past)
    assert trainer.saved == []
    trainer, _ = fit(tmp_path, losses, epochs=6, patience=3, past=past)
    assert trainer.saved == [4, 5, 6] and trainer.best == [4]


def test_without_validation_all_epochs_are_trained_and_the_last_one_counts(tmp_path):
    trainer, past = fit(tmp_path, None, epochs=4, validation=None)
    assert trainer.saved == [1, 2, 3, 4] and trainer.best == []
    assert past.best()["epoch"] == 4 and "best_epoch" not in past.summary("accuracy")


@ONCE
def test_a_run_killed_after_its_best_checkpoint_repeats_the_epoch(title_arguments, monkeypatch):
    """Killed between the best checkpoint and the epoch's row."""

    class KilledError(Exception):
        pass

    def add_or_die(past, row):
        if row["epoch"] == 2:
            raise KilledError
        return added(past, row)

    learning = dict(LEARNING, epochs="4")
    added = history.History.add
    monkeypatch.setattr(history.History, "add", add_or_die)
    with pytest.raises(KilledError):
        run(title_arguments, **learning)
    monkeypatch.undo()
    # The second epoch has no row: the first one's checkpoint is the best one, also for predictions.
    assert best_checkpoints(title_arguments) == ["best.ckpt-4", "best.ckpt-8"]
    assert len(rows_of(title_arguments["train_dir"])) == 1
    result = run(title_arguments, **dict(learning, epochs="1"))
    task = TASKS["titles"](experiment.read_settings(title_arguments["train_dir"]))
    task.restore()
    task.read()
    checkpoint = experiment.find_checkpoint(title_arguments["train_dir"])
    right = experiment.predict(task, task.test, checkpoint).argmax(axis=1) == task.test["labels"]
    assert right.mean() == pytest.approx(result["test_accuracy"])
    run(title_arguments, **learning)
    other = dict(title_arguments, train_dir=title_arguments["train_dir"] + "2")
    run(other, **learning)
    assert best_checkpoints(title_arguments) == best_checkpoints(other)
    (name,) = best_checkpoints(other)
    assert_same(*[values_in(os.path.join(each["train_dir"], name)) for each in (title_arguments, other)])


def best_checkpoints(arguments):
    names = {name.split(".index")[0] for name in os.listdir(arguments["train_dir"]) if name.endswith(".index")}
    return sorted(name for name in names if name.startswith("best"))


@pytest.mark.parametrize(
    "saved, now, expected, actual",
    [
        ({"seed": 1, "epochs": 2}, {"seed": 2, "epochs": 2}, "--seed=2", "--seed=1"),
        ({"data_dir": None}, {"data_dir": "my data"}, "--data_dir='my data'", "no --data_dir"),
        ({"data_dir": "data"}, {"data_dir": None}, "no --data_dir", "--data_dir=data"),
        ({}, {"peepholes": True}, "--peepholes=true", "no --peepholes"),
        (
            {"bidirectional": True, "layer_norm": ["tensorflow", False], "hidden_sizes": [3]},
            {"bidirectional": False, "layer_norm": [True, False], "hidden_sizes": [3, 4]},
            "--bidirectional=false, --layer_norm=true,false, --hidden_sizes=3,4",
            "--bidirectional=true, --layer_norm=tensorflow,false, --hidden_sizes=3",
        ),
    ],
)
def test_flags_of_another_run_are_named_as_on_the_command_line(tmp_path, saved, now, expected, actual):
    directory = str(tmp_path)
    history.History(directory, saved).create()
    history.History(directory, saved)
    with pytest.raises(ValueError) as raised:
        history.History(directory, now)
    assert str(raised.value) == (
        f"--train_dir: expected a directory of a run with {expected}, got {directory} of a run with {actual}; "
        f"to start anew, delete {directory} or choose another --train_dir"
    )
