"""The ablation of the initial state: each of three kinds is trained with each of three seeds.

Networks with the same seed start with the same weights, except weights that only one kind has.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from shared import pictures
from training.ablations import ablation

STATES = ("zeros", "learned", "projected")
SEEDS = 3
STEPS = 24  # Hours that the network has seen; after more of them the start hardly matters.
STEPS_PRINTED = (1, 2, 3, 6, 12, 24)


def run(settings: Mapping[str, Any]) -> dict[str, float]:
    """Trains from each kind of initial state with each seed, and writes the table and the pictures.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: the means over the seeds, which are printed last.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run`.
    """
    errors: dict[str, list[np.ndarray]] = {state: [] for state in STATES}
    weeks: dict[str, np.ndarray] = {}
    rows: list[list[Any]] = []
    kinds = {state: {"initial_state": state} for state in STATES}
    with ablation.directory(settings["train_dir"]):
        for state, seed, _, outcome in ablation.train(settings, kinds, SEEDS):
            steps = outcome.task.step_errors(outcome.predictions)[:STEPS]
            errors[state].append(steps)
            weeks.setdefault(f"{state}, seed {settings['seed']}", outcome.predictions)
            rows.append([state, seed, outcome.final["test_mae"], *steps])
        header = ["initial_state", "seed", "test_mae"] + [f"mae_{k + 1}" for k in range(STEPS)]
        ablation.write_table(settings["train_dir"], header, rows)
        ablation.save_pictures(settings["train_dir"], draw(outcome.task, errors, weeks))
        return report(rows, errors)


def draw(task: Any, errors: Mapping[str, Sequence[np.ndarray]], weeks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the pictures, name -> figure.

    Args:
      task: the `tasks.forecast.Forecast` whose test part was forecast.
      errors: kind of initial state -> for each seed the errors after each hour.
      weeks: name -> predictions for the test part.
    """
    baseline = ("the day before, repeated (seasonal naive)", task.baselines["seasonal_naive_mae"])
    label = "mean absolute error of the next day (°F)"
    title = f"Error of the next day's forecast, by initial state: mean and range of {SEEDS} seeds"
    week = "A week of the test part, each day forecast from the {} before it, from three initial states"
    return {
        "ablation": pictures.step_errors(title, errors, baseline, label),
        "ablation_forecast": task.week(week.format("two days"), weeks),
        "ablation_forecast_from_1_hour": task.week(week.format("hour"), weeks, seen=1),
    }


def report(rows: Sequence[Sequence[Any]], errors: Mapping[str, Sequence[np.ndarray]]) -> dict[str, float]:
    """Prints a line per kind of initial state, and the means over the seeds as JSON; returns the means."""
    print(f"\nmean absolute error (°F) of the next day, after so many hours; mean of {SEEDS} seeds")
    titles = [f"{step} h" for step in STEPS_PRINTED] + ["48 h", f"mean 1-{STEPS}"]
    print(f"{'from':10}" + "".join(f"{title:>10}" for title in titles))
    final: dict[str, float] = {}
    for state in STATES:
        steps = np.mean(errors[state], axis=0)
        final[f"{state}_test_mae"] = float(np.mean([row[2] for row in rows if row[0] == state]))
        final[f"{state}_mae_1_to_{STEPS}"] = float(np.mean(steps))
        values = [steps[step - 1] for step in STEPS_PRINTED] + [final[f"{state}_test_mae"], np.mean(steps)]
        print(f"{state:10}" + "".join(f"{value:10.4f}" for value in values))
    ablation.print_final(final)
    return final
