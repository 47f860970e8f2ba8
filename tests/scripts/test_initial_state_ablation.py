"""train.py --ablate_initial_state: nine tiny runs; the test computes their table and numbers again."""

import csv
import os

import numpy as np
import pytest

from stacked_lstm.compat import tf
from support.suite.sets import ONCE
from support.training.task_data import read, write_temperatures
from support.training.tiny_runs import assert_same, files_of, flag_values, run, weights
from tasks import forecast
from training import experiment, settings
from training.ablations import ablation, initial_state_ablation


@pytest.fixture
def few(arguments, tmp_path, monkeypatch):
    """flag -> value of an ablation with two seeds, on 480 hours."""
    monkeypatch.setattr(initial_state_ablation, "SEEDS", 2)
    write_temperatures(tmp_path, 50 + 10 * np.sin(np.arange(480) / 5.0))
    changes = {"task": "forecast", "data_dir": str(tmp_path), "batch_size": "100", "epochs": "1", "seed": "3"}
    return dict(arguments, ablate_initial_state="true", **changes)


@ONCE
def test_the_table_has_every_run_and_its_first_hours(few, real_pictures, capsys, monkeypatch):
    outcomes = []

    def run_and_keep(chosen):
        outcome = ran(chosen)
        outcomes.append((chosen["initial_state"], chosen["seed"], outcome))
        return outcome

    ran = experiment.run
    monkeypatch.setattr(experiment, "run", run_and_keep)
    final = run(few)
    firsts = [weights(os.path.join(few["train_dir"], name), 0) for name in ("zeros-3", "learned-3", "projected-3")]
    shared = set.intersection(*[set(first) for first in firsts])
    assert {"dense/W", "stacked_lstm/layer_1/Wf", "stacked_lstm/layer_2/Wo"} <= shared
    for first in firsts[1:]:
        assert_same({name: first[name] for name in shared}, {name: firsts[0][name] for name in shared})
    with open(os.path.join(few["train_dir"], ablation.TABLE)) as file:
        header, *rows = csv.reader(file)
    assert header == ["initial_state", "seed", "test_mae"] + [f"mae_{hour}" for hour in range(1, 25)]
    assert [(row[0], row[1]) for row in rows] == [
        (state, seed) for seed in ("3", "4") for state in ("zeros", "learned", "projected")
    ]
    for row, (state, seed, outcome) in zip(rows, outcomes):
        assert row[:2] == [state, str(seed)]
        assert float(row[2]) == pytest.approx(outcome.final["test_mae"], abs=1e-6)
        # The last hour's error is what the run reports; the others' are not the same.
        steps = outcome.task.step_errors(outcome.predictions)
        assert steps[-1] == pytest.approx(outcome.final["test_mae"], rel=1e-5)
        np.testing.assert_allclose([float(value) for value in row[3:]], steps[:24], atol=1e-6)
        assert len(np.unique(steps)) == 48
    errors_from_zeros = [[float(value) for value in row[2:]] for row in rows if row[0] == "zeros"]
    assert final["zeros_test_mae"] == pytest.approx(np.mean(errors_from_zeros, axis=0)[0], abs=1e-6)
    assert final["zeros_mae_1_to_24"] == pytest.approx(np.mean(errors_from_zeros, axis=0)[1:].mean(), abs=1e-6)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("zeros     ")]
    steps = np.mean(errors_from_zeros, axis=0)
    expected = [steps[hour] for hour in (1, 2, 3, 6, 12, 24)] + [steps[0], steps[1:].mean()]
    assert [float(value) for value in line.split()[1:]] == pytest.approx(expected, abs=6e-5)
    pictures = {name[:-4]: content for name, content in files_of_top(few).items() if name.endswith(".png")}
    assert sorted(pictures) == ["ablation", "ablation_forecast", "ablation_forecast_from_1_hour"]
    (events,) = [name for name in os.listdir(few["train_dir"]) if name.startswith("events")]
    shown = {}
    for event in tf.train.summary_iterator(os.path.join(few["train_dir"], events)):
        shown.update((value.tag, value.image.encoded_image_string) for value in event.summary.value)
    assert shown == pictures


def files_of_top(arguments):
    """Returns the files in the ablation's directory, without the directories of its runs."""
    directory = arguments["train_dir"]
    assert sorted(name for name in os.listdir(directory) if os.path.isdir(os.path.join(directory, name))) == [
        f"{state}-{seed}" for state in ("learned", "projected", "zeros") for seed in (3, 4)
    ]
    for name in os.listdir(directory):
        if os.path.isdir(os.path.join(directory, name)):
            os.rename(os.path.join(directory, name), directory + "-" + name)
    return files_of(directory)


def test_errors_after_each_hour_by_loops(tmp_path):
    """Mean over windows and hours to come of |prediction - change|, °F, from the temperatures themselves."""
    temperatures = 50 + 10 * np.random.RandomState(0).standard_normal(480)
    write_temperatures(tmp_path, temperatures)
    task = read(forecast.Forecast, tmp_path)
    assert len(task.test) == 1  # Hours 384 to 479; the input begins at hour 408.
    predictions = np.random.RandomState(1).standard_normal([1, 48, 24]).astype(np.float32)
    known = temperatures[:384]
    daily = (known[24:] - known[:-24]).std()
    for hour in (0, 1, 23, 47):
        seen = 408 + hour
        errors = [
            abs(predictions[0, hour, k] * daily - (temperatures[seen + 1 + k] - temperatures[seen + 1 + k - 24]))
            for k in range(24)
        ]
        assert task.step_errors(predictions)[hour] == pytest.approx(np.mean(errors), rel=1e-5)


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"task": "titles"}, "--ablate_initial_state: expected none with --task=titles, got true"),
        ({"peer": "keras"}, "--peer: expected none with --ablate_initial_state, got keras"),
        ({"initial_state": "zeros"}, "--initial_state: expected none with --ablate_initial_state, got zeros"),
    ],
)
def test_flags_that_do_not_go_with_it(flags, message):
    with pytest.raises(ValueError, match=message):
        settings.read_flags(flag_values(dict({"task": "forecast", "ablate_initial_state": "true"}, **flags)))


def test_its_own_defaults():
    chosen = settings.read_flags(flag_values({"task": "forecast", "ablate_initial_state": "true"}))
    assert chosen["loss_steps"] == "all" and chosen["epochs"] == 3
    assert chosen["train_dir"] == os.path.join("runs", "forecast-initial_state")
    present = {"loss_steps": "last", "train_dir": "here", "epochs": 7}
    chosen = settings.read_flags(flag_values(dict({"task": "forecast", "ablate_initial_state": "true"}, **present)))
    assert {name: chosen[name] for name in present} == present
