"""scripts/training/ablations/dropout_ablation.py: a few tiny runs; the test computes their table and numbers again."""

import csv
import os

import numpy as np
import pytest

from shared import layer_options
from support.suite.sets import ONCE
from support.training.tiny_runs import flag_values, run
from tasks import titles
from training import experiment, settings
from training.ablations import ablation, dropout_ablation


@ONCE
def test_the_table_has_every_run(title_arguments, real_pictures, capsys, monkeypatch):
    outcomes = []

    def run_and_keep(chosen):
        outcome = ran(chosen)
        outcomes.append((chosen, outcome))
        return outcome

    ran = experiment.run
    monkeypatch.setattr(experiment, "run", run_and_keep)
    monkeypatch.setattr(dropout_ablation, "SEEDS", 2)
    kept = ("none", "g, candidate", "defaults")
    monkeypatch.setattr(dropout_ablation, "KINDS", {kind: dropout_ablation.KINDS[kind] for kind in kept})
    few = dict(title_arguments, ablate_dropout="true", seed="3", epochs="1")
    for name in dropout_ablation.NONE:
        few.pop(name, None)
    final = run(few)
    names = ["none-3", "g_candidate-3", "defaults-3", "none-4", "g_candidate-4", "defaults-4"]
    assert [os.path.basename(chosen["train_dir"]) for chosen, _ in outcomes] == names
    with open(os.path.join(few["train_dir"], ablation.TABLE)) as file:
        header, *rows = csv.reader(file)
    assert header == ["dropout", "seed", "validation_loss", "test_accuracy", "test_macro_f1", "test_recall_0"]
    assert [row[:2] for row in rows] == [[kind, seed] for seed in "34" for kind in kept]
    for row, (chosen, outcome) in zip(rows, outcomes):
        predictions, task = outcome.predictions, outcome.task
        right = predictions.argmax(axis=1) == task.test["labels"]
        assert float(row[3]) == pytest.approx(right.mean(), abs=1e-6)
        assert float(row[5]) == pytest.approx(right[task.test["labels"] == 0].mean(), abs=1e-6)
        chances = experiment.predict(task, task.validation, experiment.find_checkpoint(chosen["train_dir"]))
        losses = -np.log(chances[np.arange(3), task.validation["labels"]])
        assert float(row[2]) == pytest.approx(losses.mean(), rel=1e-5)  # --balance=0.
    for kind in kept:
        mean = np.mean([float(row[2]) for row in rows if row[0] == kind])
        assert final[f"{kind}: validation_loss"] == pytest.approx(mean, abs=1e-6)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("none  ")]
    values = [[float(value) for value in row[2:]] for row in rows if row[0] == "none"]
    expected = [number for column in zip(*values) for number in (np.mean(column), np.std(column, ddof=1))]
    printed = [float(value.strip("()")) for value in line.split()[1:]]
    assert printed == pytest.approx(expected, abs=6e-5)
    assert os.path.getsize(os.path.join(few["train_dir"], "dropout.png")) > 10000


def test_each_kind_drops_alone():
    """The flags of a kind switch on what its name says, and nothing else; NONE has every flag that drops."""
    drops = {option.name for option in titles.Titles.OPTIONS if option.name.endswith("_dropout")} - {"ablate_dropout"}
    assert set(dropout_ablation.NONE) == drops | set(layer_options.TABLE)
    assert not any(dropout_ablation.NONE.values())
    for kind, changes in dropout_ablation.KINDS.items():
        assert set(changes or {}) <= set(dropout_ablation.NONE), kind


@pytest.mark.parametrize("flag, value", [("peer", "keras"), ("dropout", "0.1"), ("piece_dropout", "0.1")])
def test_flags_that_do_not_go_with_it(flag, value):
    message = rf"--{flag}: expected none with --ablate_dropout, got {value}"
    with pytest.raises(ValueError, match=message):
        settings.read_flags(flag_values({"task": "titles", "ablate_dropout": "true", flag: value}))


def test_its_own_directory():
    chosen = settings.read_flags(flag_values({"task": "titles", "ablate_dropout": "true"}))
    assert chosen["train_dir"] == os.path.join("runs", "titles-dropout") and chosen["piece_dropout"] > 0
