"""What a trainable initial state is worth: the same network from each kind of initial state, with the same seeds.

With a seed, all of them begin with the same weights, but for those that only one of them has.
"""

import collections
import csv
import json
import os

import numpy as np

import files
import pictures
from stacked_lstm.compat import tf
from training import experiment, summaries

TASK = "forecast"
STATES = ("zeros", "learned", "projected")
SEEDS = 3
EPOCHS = 3  # With more, each kind forecasts the test part worse: the year does not repeat itself.
STEPS = 24  # Hours seen; after more of them, the start hardly matters.
STEPS_PRINTED = (1, 2, 3, 6, 12, 24)
TABLE = "ablation.csv"


def adapt(settings, given):
    """Changes settings to those of an ablation, where they were not given.

    The loss is that of the forecasts after every hour: one after two days would ask nothing of the first hours.

    Args:
      settings: flag -> value.
      given: names of the flags that the user gave.

    Raises:
      ValueError: flags that an ablation does not go with.
    """
    for name, expected in (("task", TASK), ("peer", None), ("initial_state", None)):
        if name in given and settings[name] != expected:
            message = "--%s: expected %s with --ablate_initial_state, got %s"
            raise ValueError(message % (name, expected or "none", settings[name]))
    defaults = {"loss_steps": "all", "epochs": EPOCHS, "train_dir": os.path.join("runs", f"{TASK}-initial_state")}
    settings.update((name, value) for name, value in defaults.items() if name not in given)


def run(settings):
    """Trains each of `STATES` with `SEEDS` seeds, as `experiment.run`, and writes table and pictures.

    Returns:
      name -> number, what is printed last.
    """
    errors, weeks, rows = collections.OrderedDict((state, []) for state in STATES), collections.OrderedDict(), []
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
    write_table(os.path.join(settings["train_dir"], TABLE), rows)
    draw(settings["train_dir"], outcome.task, errors, weeks)
    return report(rows, errors)


def write_table(path, rows):
    """Writes a CSV file of [initial state, seed, test error, error after 1 hour, ..., after STEPS] of each run."""

    def write(temporary):
        with open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["initial_state", "seed", "test_mae"] + [f"mae_{k + 1}" for k in range(STEPS)])
            writer.writerows(row[:2] + [f"{value:.6f}" for value in row[2:]] for row in rows)

    files.replace(path, write)


def draw(directory, task, errors, weeks):
    """Writes the pictures, also for TensorBoard."""
    baseline = ("seasonal naive", task.baselines["seasonal_naive_mae"])
    label = "mean absolute error of the next day (°F)"
    title = f"forecast: mean and range of {SEEDS} seeds"
    week = "a week of the test part, each day forecast from the %s before it, from three initial states"
    figures = {
        "ablation": pictures.step_errors(title, errors, baseline, label),
        "ablation_forecast": task.week(week % "two days", weeks),
        "ablation_forecast_from_1_hour": task.week(week % "hour", weeks, seen=1),
    }
    with tf.Graph().as_default(), tf.summary.FileWriter(directory) as writer:
        writer.add_summary(summaries.images(experiment.save_pictures(directory, figures)), 0)


def report(rows, errors):
    """Prints a line per kind of initial state, and the means over the seeds as JSON; returns these."""
    print(f"\nmean absolute error (°F) of the next day, after so many hours; mean of {SEEDS} seeds")
    titles = [f"{step} h" for step in STEPS_PRINTED] + ["48 h", f"mean 1-{STEPS}"]
    print(f"{'from':10}" + "".join(f"{title:>10}" for title in titles))
    final = collections.OrderedDict()
    for state in STATES:
        steps = np.mean(errors[state], axis=0)
        final[f"{state}_test_mae"] = float(np.mean([row[2] for row in rows if row[0] == state]))
        final[f"{state}_mae_1_to_{STEPS}"] = float(np.mean(steps))
        values = [steps[step - 1] for step in STEPS_PRINTED] + [final[f"{state}_test_mae"], np.mean(steps)]
        print(f"{state:10}" + "".join(f"{value:10.4f}" for value in values))
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return final
