"""The ablation of the initial state: each of three kinds is trained with each of three seeds.

Networks with the same seed start with the same weights, except weights that only one kind has.
"""

import contextlib
import csv
import json
import os

import numpy as np

from shared import file_errors, pictures
from stacked_lstm.commands import output_files
from training import checkpoints, experiment, lock, summaries

STATES = ("zeros", "learned", "projected")
SEEDS = 3
EPOCHS = 3  # After more epochs each kind forecasts the test part worse: the year does not repeat itself.
STEPS = 24  # Hours that the network has seen; after more of them the start hardly matters.
STEPS_PRINTED = (1, 2, 3, 6, 12, 24)
TABLE = "ablation.csv"


def adapt(settings, present):
    """Gives flags that are absent their defaults in an ablation.

    The loss is that of the forecasts after every hour. With the loss of the last forecast alone, nothing would train
    the forecasts after the first hours.

    Args:
      settings: flag -> value.
      present: the flags on the command line.

    Raises:
      ValueError: a flag that does not go with an ablation.
    """
    for name in ("peer", "initial_state"):
        if name in present:
            raise ValueError(f"--{name}: expected none with --ablate_initial_state, got {present[name]}")
    train_dir = os.path.join("runs", f"{settings['task']}-initial_state")
    defaults = {"loss_steps": "all", "epochs": EPOCHS, "train_dir": train_dir}
    settings.update((name, value) for name, value in defaults.items() if name not in present)


def run(settings):
    """Trains from each kind of initial state with each seed, and writes the table and the pictures.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: the means over the seeds, which are printed last.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run`.
    """
    with lock.hold(settings["train_dir"]):
        checkpoints.remove_leftovers(settings["train_dir"])
        return train_all(settings)


def train_all(settings):
    """Does what `run` does; no other run may be at work in the directory."""
    errors, weeks, rows = {state: [] for state in STATES}, {}, []
    for seed in range(settings["seed"], settings["seed"] + SEEDS):
        for state in STATES:
            name = f"{state}-{seed}"
            print(f"\n{name}:")
            changes = {"initial_state": state, "seed": seed, "train_dir": os.path.join(settings["train_dir"], name)}
            outcome = experiment.run(dict(settings, **changes))
            steps = outcome.task.step_errors(outcome.predictions)[:STEPS]
            errors[state].append(steps)
            weeks.setdefault(f"{state}, seed {settings['seed']}", outcome.predictions)
            rows.append([state, seed, outcome.final["test_mae"]] + list(steps))
    header = ["initial_state", "seed", "test_mae"] + [f"mae_{k + 1}" for k in range(STEPS)]
    write_table(os.path.join(settings["train_dir"], TABLE), header, rows)
    draw(settings["train_dir"], outcome.task, errors, weeks)
    return report(rows, errors)


def write_table(path, header, rows):
    """Writes a CSV file with a header and a row per run: what was ablated, the seed, and numbers."""

    def write(temporary):
        with open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(row[:2] + [f"{value:.6f}" for value in row[2:]] for row in rows)

    with file_errors.named("--train_dir", path, "write"):
        output_files.replace(path, write)


def draw(directory, task, errors, weeks):
    """Writes the pictures as PNG files and for TensorBoard.

    Args:
      directory: where to write them.
      task: the `tasks.forecast.Forecast` whose test part was forecast.
      errors: kind of initial state -> for each seed the errors after each hour.
      weeks: name -> predictions for the test part.
    """
    baseline = ("the day before, repeated (seasonal naive)", task.baselines["seasonal_naive_mae"])
    label = "mean absolute error of the next day (°F)"
    title = f"Error of the next day's forecast, by initial state: mean and range of {SEEDS} seeds"
    week = "A week of the test part, each day forecast from the {} before it, from three initial states"
    figures = {
        "ablation": pictures.step_errors(title, errors, baseline, label),
        "ablation_forecast": task.week(week.format("two days"), weeks),
        "ablation_forecast_from_1_hour": task.week(week.format("hour"), weeks, seen=1),
    }
    images = summaries.images(experiment.save_pictures(directory, figures))
    with contextlib.closing(summaries.EventFile(directory)) as events:
        events.add(images, 0)


def report(rows, errors):
    """Prints a line per kind of initial state, and the means over the seeds as JSON; returns the means."""
    print(f"\nmean absolute error (°F) of the next day, after so many hours; mean of {SEEDS} seeds")
    titles = [f"{step} h" for step in STEPS_PRINTED] + ["48 h", f"mean 1-{STEPS}"]
    print(f"{'from':10}" + "".join(f"{title:>10}" for title in titles))
    final = {}
    for state in STATES:
        steps = np.mean(errors[state], axis=0)
        final[f"{state}_test_mae"] = float(np.mean([row[2] for row in rows if row[0] == state]))
        final[f"{state}_mae_1_to_{STEPS}"] = float(np.mean(steps))
        values = [steps[step - 1] for step in STEPS_PRINTED] + [final[f"{state}_test_mae"], np.mean(steps)]
        print(f"{state:10}" + "".join(f"{value:10.4f}" for value in values))
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return final
