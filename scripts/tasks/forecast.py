"""The next day's temperatures from those of the last two days: regression on the last output of the stack.

The data are hourly temperatures of one year in Seattle, from the package vega-datasets. They are so regular that the
same hour of the day before is already a good forecast (`seasonal_naive_mae`). So the network forecasts the difference
from that hour.
"""

from __future__ import annotations

import os

import numpy as np

from shared import file_errors, pictures
from shared.options import Option
from stacked_lstm.commands.series import Data
from tasks import temperature_series
from tasks.task import Task
from tasks.temperature_series import DAY, FEATURES, FILE, HOURS_IN, HOURS_OUT, days

LOSS_STEPS = {"last": slice(HOURS_IN - 1, HOURS_IN), "all": slice(None)}  # --loss_steps


class Forecast(Task):
    """A stacked LSTM over the hours; at each, a dense layer has one output per hour of the day that follows.

    Predictions are these outputs, the 24-hour changes in units of their deviation, float32 [B, HOURS_IN, HOURS_OUT].
    The score is the error of the last hour's forecast. --loss_steps says whether the loss is that of the last hour or
    of all hours.
    """

    METRIC = "mae"
    METRIC_LABEL = "mean absolute error (°F)"
    DEFAULTS = {
        "hidden_sizes": [32, 32, 64],
        "initial_state": "projected",
        "weight_initializer": "dl",
        "epochs": 10,
        "batch_size": 64,
        "learning_rate": 1e-3,
    }
    OPTIONS = (
        Option("enum", "loss_steps", "last", "Input hours whose forecasts are in the loss: the last of the 48, or all",
               {"enum_values": sorted(LOSS_STEPS)}, identity=True),
        Option("boolean", "ablate_initial_state", False,
               "Train with zero, learned and projected initial states, with three seeds each, and compare the errors."),
    )  # fmt: skip

    def read(self):
        path = os.path.join(self.settings["data_dir"] or temperature_series.package_dir(), FILE)
        train, self._series = temperature_series.split(temperature_series.read(path))
        self._scales = temperature_series.Scales.measure(train)
        self.train = self._scales.examples(train).first(self.settings["train_examples"])
        self.test = self._scales.examples(self._series)
        self.baselines = {"seasonal_naive_mae": temperature_series.seasonal_naive_mae(self._series)}

    def build(self, recurrent, batch=None):
        from stacked_lstm.compat import tf
        from tasks import networks

        types = {
            "inputs": (tf.float32, [None, HOURS_IN, FEATURES]),
            "changes": (tf.float32, [None, HOURS_IN + HOURS_OUT - 1]),
        }
        feeds = networks.inputs(types, batch)
        outputs, _ = recurrent(feeds["inputs"])
        flat = tf.reshape(outputs, [-1, outputs.shape.as_list()[-1]])
        flat = networks.dense(flat, HOURS_OUT, seed=self.settings["seed"])
        predictions = tf.reshape(flat, [-1, HOURS_IN, HOURS_OUT])
        errors = predictions - tf.stack(list(days(feeds["changes"])), axis=1)
        trained = LOSS_STEPS[self.settings["loss_steps"]]
        return networks.Network(
            feeds=feeds,
            losses=tf.reduce_mean(tf.square(errors[:, trained]), axis=[1, 2]),
            scores=tf.reduce_mean(tf.abs(errors[:, -1]), axis=1) * self._scales.change,
            predictions=predictions,
            training=recurrent.training,
        )

    def step_errors(self, predictions):
        """float64 [HOURS_IN]: mean absolute error (°F) of the day that follows, after each hour of the input."""
        truth = np.stack(list(days(self.test["changes"])), axis=1)
        return np.mean(np.abs(predictions - truth), axis=(0, 2), dtype=np.float64) * self._scales.change

    def daily(self, predictions, seen=HOURS_IN):
        """The test part, forecast once a day for the day to come.

        Args:
          predictions: the network's for `test`.
          seen: number of hours that the network has seen before it makes a forecast, 1 to HOURS_IN.

        Returns:
          (hours since year 1, their temperatures, the forecasts), each of [days * HOURS_OUT].
        """
        series = self._series
        hours = temperature_series.windows(np.arange(len(series)))[1] - (HOURS_IN - seen)
        forecasts = series.values[hours - DAY] + predictions[:, seen - 1] * self._scales.change
        hours = hours[::HOURS_OUT]
        return series.start + hours.ravel(), series.values[hours].ravel(), forecasts[::HOURS_OUT].ravel()

    def week(self, title, predictions, seen=HOURS_IN):
        """Draws the week in the middle of the test part.

        Args:
          title: of the figure.
          predictions: name -> the network's predictions for `test`.
          seen: as for `daily`.

        Returns:
          A matplotlib Figure.
        """
        forecasts = {}
        for name, values in predictions.items():
            hours, truth, forecasts[name] = self.daily(values, seen)
        start = max(0, len(hours) // HOURS_OUT // 2 - 3) * HOURS_OUT
        shown = slice(start, start + 7 * DAY)
        forecasts = {name: values[shown] for name, values in forecasts.items()}
        dates = [temperature_series.date_at(hour) for hour in hours[shown]]
        return pictures.series(title, dates, truth[shown], forecasts, "temperature", "°F")

    def pictures(self, title, predictions):
        return {"forecast": self.week(title, {"forecast": predictions})}

    def table(self, examples, predictions, only_errors=False):
        if only_errors:
            raise ValueError("--only_errors: expected a task with labels, got the task forecast")
        rows = [
            [
                temperature_series.date_at(hour).strftime(temperature_series.DATE_FORMAT),
                round(float(truth), 2),
                round(float(forecast), 2),
            ]
            for hour, truth, forecast in zip(*self.daily(predictions))
        ]
        return [["date", "temp", "prediction"]] + rows


def comparison_data(values):
    """Returns the training windows as data of compare.py; takes its parsed flags."""
    task = Forecast({"data_dir": values.data_dir, "train_examples": None})
    with file_errors.named("--data_dir", values.data_dir or "the data"):
        task.read()
    source = values.data_dir or "the package vega-datasets"
    description = f"hourly temperatures of Seattle, {FILE} of {source}"
    return Data(description, task.train["inputs"], task.train["changes"][:, -HOURS_OUT:])
