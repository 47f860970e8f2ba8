"""The next day's temperatures from those of the last two days: regression on the last output of the stack.

The data are hourly temperatures of one year in Seattle, from the package vega-datasets. They are so regular that the
same hour of the day before is already a good forecast (`seasonal_naive_mae`), so the network forecasts the difference
from it.
"""

import collections
import csv
import datetime
import os

import numpy as np

import networks
import training
from stacked_lstm.compat import tf

FILE = "seattle-temps.csv"
DATE_FORMAT = "%Y/%m/%d %H:%M"
DAY = 24  # hours

HOURS_IN = 2 * DAY
HOURS_OUT = DAY
TEST_FRACTION = 0.2
FEATURES = 7  # see `Scales.examples`; none for the season, as one year cannot show what a season does


class Forecast(object):
    """Stacked LSTM over the hours, its last output into a dense layer with one output per hour to come."""

    METRIC = "mae"
    METRIC_LABEL = "mean absolute error (°F)"
    DEFAULTS = {
        "hidden_sizes": [32, 32, 64],
        "initial_state": "projected",
        "epochs": 10,
        "batch_size": 64,
        "learning_rate": 1e-3,
    }

    def __init__(self, data_dir=None, train_examples=None):
        temperatures = read(os.path.join(data_dir or package_dir(), FILE))
        train, test = split(temperatures)
        self._scales = Scales.of(train)
        self.train = self._scales.examples(train).first(train_examples)
        self.test = self._scales.examples(test)
        self.baselines = {"seasonal_naive_mae": seasonal_naive_mae(test)}

    def build(self, recurrent):
        feeds = {
            "inputs": tf.placeholder(tf.float32, [None, HOURS_IN, FEATURES]),
            "changes": tf.placeholder(tf.float32, [None, HOURS_OUT]),
        }
        errors = networks.dense(recurrent(feeds["inputs"]), HOURS_OUT) - feeds["changes"]
        return networks.Network(
            feeds=feeds,
            losses=tf.reduce_mean(tf.square(errors), axis=1),
            scores=tf.reduce_mean(tf.abs(errors), axis=1) * self._scales.change,
        )


class Series(object):
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


def package_dir():
    """Returns the directory of the data in the package vega-datasets.

    Raises:
      ImportError: the package is not installed.
    """
    try:
        from vega_datasets import local_data
    except ImportError as error:
        raise ImportError(
            "the forecast task needs its data (%s): pip install vega-datasets, or --data_dir with %s" % (error, FILE)
        ) from None
    return os.path.dirname(local_data.seattle_temps.filepath)


def read(path):
    """Returns the `Series` in a CSV file with columns date ("2010/01/01 00:00") and temp, one line per hour.

    Hours left out, as at the change to summer time, are interpolated. NaN stays, and an empty temp is NaN.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another column, a line that is no date and number, hours that do not increase, or too few.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError("--data_dir: expected %s in it, found none at %s" % (FILE, path))
    hours, values = [], []
    with open(path, newline="") as file:
        lines = csv.DictReader(file)
        for line in lines:
            try:
                hours.append(_hours(line["date"]))
                values.append(float(line["temp"].strip() or "nan"))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ValueError("%s, line %d: expected date,temp, got %r" % (path, lines.line_num, error)) from None
    if np.any(np.diff(hours) <= 0):
        raise ValueError("%s: expected hours in increasing order, got some that are not" % path)
    if len(hours) * TEST_FRACTION < DAY + HOURS_IN + HOURS_OUT:
        least = (DAY + HOURS_IN + HOURS_OUT) / TEST_FRACTION
        raise ValueError("%s: expected at least %d hours, got %d" % (path, least, len(hours)))
    grid = np.arange(hours[0], hours[-1] + 1)
    return Series(hours[0], np.interp(grid, hours, values))


def _hours(date):
    """Hours from year 1 to a date as the file has it."""
    since = datetime.datetime.strptime(date, DATE_FORMAT) - datetime.datetime.min
    return since.days * DAY + since.seconds // 3600


def split(series):
    """Returns (training, test), the first 80 % and the last 20 % of a `Series`.

    They are cut before windows are: no hour is in a training window and in a test window, as input or as target.
    """
    boundary = round(len(series) * (1 - TEST_FRACTION))
    return series[:boundary], series[boundary:]


def windows(hourly):
    """Cuts an array [hours, ...] into (what is known, what is to come): [N, HOURS_IN, ...] and [N, HOURS_OUT, ...].

    The first day is in no window: changes from the day before are not known there.
    """
    starts = np.arange(DAY, len(hourly) - HOURS_IN - HOURS_OUT + 1)[:, None]
    return hourly[starts + np.arange(HOURS_IN)], hourly[starts + HOURS_IN + np.arange(HOURS_OUT)]


def seasonal_naive_mae(series):
    """Returns the mean absolute error (°F) of forecasting each hour by the same hour of the day before.

    Over all hours of all windows, as the network's.
    """
    return float(np.mean(np.abs(windows(series.changes(DAY))[1])))


class Scales(collections.namedtuple("Scales", ["mean", "deviation", "step", "change"])):
    """Statistics of training data, °F: the values' mean and deviation, deviations of 1-hour and 24-hour changes."""

    @classmethod
    def of(cls, series):
        """From a `Series`; NaN is left out, so that it spoils only its own windows."""
        deviations = [np.nanstd(x) or 1.0 for x in (series.values, series.changes(1), series.changes(DAY))]
        return cls(np.nanmean(series.values), *deviations)

    def examples(self, series):
        """Returns `training.Examples` of a `Series`.

        Fields:
          inputs: float32 [N, HOURS_IN, FEATURES].
          changes: float32 [N, HOURS_OUT], 24-hour changes of the hours to come, in units of their deviation.
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
        changes = windows(change)[1]
        return training.Examples(inputs=inputs.astype(np.float32), changes=changes.astype(np.float32))
