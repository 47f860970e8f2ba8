"""The next day's temperatures from those of the last two days: regression on the last output of the stack.

The data are hourly temperatures of one year in Seattle, from the package vega-datasets. They are so regular that the
same hour of the day before is already a good forecast (`seasonal_naive_mae`). So the network forecasts the difference
from that hour.
"""

from __future__ import annotations

import csv
import datetime
import os
from typing import NamedTuple

import numpy as np

from shared import pictures
from shared.options import Option
from stacked_lstm.commands.series import Data
from tasks.examples import Examples
from tasks.task import Task

FILE = "seattle-temps.csv"
DATE_FORMAT = "%Y/%m/%d %H:%M"
DAY = 24  # hours

HOURS_IN = 2 * DAY
HOURS_OUT = DAY
TEST_FRACTION = 0.2
LOSS_STEPS = {"last": slice(HOURS_IN - 1, HOURS_IN), "all": slice(None)}  # --loss_steps
FEATURES = 7  # See `Scales.examples`. None is about the season: one year cannot show what a season does.


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
        Option("enum", "loss_steps", "last", "Which hours' forecasts are trained, of the 48 that the network sees",
               {"enum_values": sorted(LOSS_STEPS)}, identity=True),
        Option("boolean", "ablate_initial_state", False,
               "Train from zero, learned and projected initial states, with three seeds each, and compare.",
               trains="training.ablation"),
    )  # fmt: skip

    def read(self):
        train, self._series = split(read(os.path.join(self.settings["data_dir"] or package_dir(), FILE)))
        self._scales = Scales.measure(train)
        self.train = self._scales.examples(train).first(self.settings["train_examples"])
        self.test = self._scales.examples(self._series)
        self.baselines = {"seasonal_naive_mae": seasonal_naive_mae(self._series)}

    def build(self, recurrent):
        from stacked_lstm.compat import tf
        from tasks import networks

        feeds = {
            "inputs": tf.placeholder(tf.float32, [None, HOURS_IN, FEATURES]),
            "changes": tf.placeholder(tf.float32, [None, HOURS_IN + HOURS_OUT - 1]),
        }
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
        hours = windows(np.arange(len(series)))[1] - (HOURS_IN - seen)
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
        dates = [date_at(hour) for hour in hours[shown]]
        return pictures.series(title, dates, truth[shown], forecasts, "temperature", "°F")

    def pictures(self, title, predictions):
        return {"forecast": self.week(title, {"forecast": predictions})}

    def table(self, examples, predictions, only_errors=False):
        if only_errors:
            raise ValueError("--only_errors: expected a task with labels, got the task forecast")
        rows = [
            [date_at(hour).strftime(DATE_FORMAT), round(float(truth), 2), round(float(forecast), 2)]
            for hour, truth, forecast in zip(*self.daily(predictions))
        ]
        return [["date", "temp", "prediction"]] + rows


class Series:
    """Consecutive hourly values.

    Attributes:
      start: hours from midnight of some day to the first value.
      values: float64 [hours], degrees Fahrenheit.
    """

    def __init__(self, start, values):
        self.start, self.values = start, values

    def __getitem__(self, hours):
        return Series(self.start + (hours.start or 0), self.values[hours])

    def __len__(self):
        return len(self.values)

    def changes(self, hours):
        """float64 [hours]: every value less the one `hours` before, NaN where there is none."""
        return np.concatenate([np.full([hours], np.nan), self.values[hours:] - self.values[:-hours]])

    def hour_of_day(self):
        return (self.start + np.arange(len(self))) % DAY


def comparison_data(values):
    """Returns the training windows as data of compare.py; takes its parsed flags."""
    task = Forecast({"data_dir": values.data_dir, "train_examples": None})
    task.read()
    source = values.data_dir or "the package vega-datasets"
    description = f"hourly temperatures of Seattle, {FILE} of {source}"
    return Data(description, task.train["inputs"], task.train["changes"][:, -HOURS_OUT:])


def package_dir():
    """Returns the directory of the data in the package vega-datasets.

    Raises:
      ImportError: the package is not installed.
    """
    try:
        from vega_datasets import local_data
    except ImportError as error:
        raise ImportError(
            f"the forecast task needs its data ({error}): pip install vega-datasets, or --data_dir with {FILE}"
        ) from None
    return os.path.dirname(local_data.seattle_temps.filepath)


def read(path):
    """Reads the `Series` in a CSV file with the columns date ("2010/01/01 00:00") and temp, one line per hour.

    Missing hours, as at the change to summer time, are interpolated. NaN stays NaN, and an empty temp is NaN.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another column, a line that is no date and number, hours that do not increase, or too few hours.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"--data_dir: expected {FILE} in it, found none at {path}")
    hours, values = [], []
    with open(path, newline="") as file:
        lines = csv.DictReader(file)
        for line in lines:
            try:
                hours.append(_hours(line["date"]))
                values.append(float(line["temp"].strip() or "nan"))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {lines.line_num}: expected date,temp, got {error!r}") from None
    if np.any(np.diff(hours) <= 0):
        raise ValueError(f"{path}: expected hours in increasing order, got some that are not")
    if len(hours) * TEST_FRACTION < DAY + HOURS_IN + HOURS_OUT:
        least = (DAY + HOURS_IN + HOURS_OUT) / TEST_FRACTION
        raise ValueError(f"{path}: expected at least {least:.0f} hours, got {len(hours)}")
    grid = np.arange(hours[0], hours[-1] + 1)
    return Series(hours[0], np.interp(grid, hours, values))


def _hours(date):
    """Hours from year 1 to a date as the file has it."""
    since = datetime.datetime.strptime(date, DATE_FORMAT) - datetime.datetime.min
    return since.days * DAY + since.seconds // 3600


def date_at(hour):
    """The inverse of `_hours`, as a `datetime.datetime`."""
    return datetime.datetime.min + datetime.timedelta(hours=int(hour))


def split(series):
    """Returns (training, test), the first 80 % and the last 20 % of a `Series`.

    The series is split before it is cut into windows, so that no hour is both in a training and in a test window.
    """
    boundary = round(len(series) * (1 - TEST_FRACTION))
    return series[:boundary], series[boundary:]


def days(changes):
    """The day that follows each of HOURS_IN hours: slices [N, HOURS_OUT] of [N, HOURS_IN + HOURS_OUT - 1]."""
    return (changes[:, hour : hour + HOURS_OUT] for hour in range(HOURS_IN))


def windows(hourly):
    """Cuts an array [hours, ...] into (what is known, what is to come): [N, HOURS_IN, ...] and [N, HOURS_OUT, ...].

    The first day is in no window: changes from the day before are not known there.
    """
    starts = np.arange(DAY, len(hourly) - HOURS_IN - HOURS_OUT + 1)[:, None]
    return hourly[starts + np.arange(HOURS_IN)], hourly[starts + HOURS_IN + np.arange(HOURS_OUT)]


def seasonal_naive_mae(series):
    """Returns the mean absolute error (°F) if each hour is forecast by the same hour of the day before.

    The mean is over all hours of all windows, as the network's is.
    """
    return float(np.mean(np.abs(windows(series.changes(DAY))[1])))


class Scales(NamedTuple):
    """Statistics of training data, in °F.

    Fields:
      mean, deviation: of the temperatures.
      step, change: deviations of their 1-hour and 24-hour changes.
    """

    mean: float
    deviation: float
    step: float
    change: float

    @classmethod
    def measure(cls, series):
        """Measures a `Series`; NaN is left out, so that it spoils only its own windows."""
        deviations = [np.nanstd(x) or 1.0 for x in (series.values, series.changes(1), series.changes(DAY))]
        return cls(np.nanmean(series.values), *deviations)

    def examples(self, series):
        """Returns `Examples` of a `Series`.

        Fields:
          inputs: float32 [N, HOURS_IN, FEATURES].
          changes: float32 [N, HOURS_IN + HOURS_OUT - 1], 24-hour changes of all hours after the first hour of the
            input, in units of their deviation.
        """
        change = series.changes(DAY) / self.change
        angle = 2 * np.pi * series.hour_of_day() / DAY
        features = [
            (series.values - self.mean) / self.deviation,
            series.changes(1) / self.step,
            change,
            np.sin(angle),
            np.cos(angle),
            np.sin(2 * angle),
            np.cos(2 * angle),
        ]
        inputs = windows(np.stack(features, axis=1))[0]
        changes = np.concatenate(windows(change), axis=1)[:, 1:]
        return Examples(inputs=inputs.astype(np.float32), changes=changes.astype(np.float32))
