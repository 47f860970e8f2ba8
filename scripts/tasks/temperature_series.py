"""Hourly temperatures of one year in Seattle: the file, its series, and the windows that are forecast."""

from __future__ import annotations

import csv
import datetime
import io
import os
from typing import NamedTuple

import numpy as np

from tasks import text_files
from tasks.examples import Examples, describe_row

FILE = "seattle-temps.csv"
DATE_FORMAT = "%Y/%m/%d %H:%M"
DAY = 24  # hours

HIGHEST = 1e6  # Degrees Fahrenheit; no temperature is as high, and squares of higher ones may overflow.

HOURS_IN = 2 * DAY
HOURS_OUT = DAY
TEST_FRACTION = 0.2
FEATURES = 7  # See `Scales.examples`. None is about the season: one year cannot show what a season does.


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

    Missing hours, as at the change to summer time, are interpolated. The file is in UTF-8, with or without a byte order
    mark.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another column, a line that is no date and number, a temp that is empty, NaN or above `HIGHEST`, hours
        that do not increase, too few hours, or more missing hours than lines.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"--data_dir: expected a directory with {FILE}, got {os.path.dirname(path)}")
    hours, values = [], []
    with open(path, "rb") as file:
        lines = csv.DictReader(io.StringIO(text_files.decode(file.read(), path), newline=""))
    try:
        for line in lines:
            hour, temperature = _row(line, f"{path}, line {lines.line_num}")
            hours.append(hour)
            values.append(temperature)
    except csv.Error as error:  # Its line is not counted yet.
        raise ValueError(f"{path}, line {lines.line_num + 1}: expected CSV ({error})") from None
    if np.any(np.diff(hours) <= 0):
        line = int(np.argmax(np.diff(hours) <= 0)) + 3
        raise ValueError(
            f"{path}, line {line}: expected an hour after that of the line before, got one that is no later"
        )
    if len(hours) * TEST_FRACTION < DAY + HOURS_IN + HOURS_OUT:
        least = (DAY + HOURS_IN + HOURS_OUT) / TEST_FRACTION
        raise ValueError(f"{path}: expected at least {least:.0f} hours, got {len(hours)}")
    if hours[-1] - hours[0] >= 2 * len(hours):
        dates = f"{hours[-1] - hours[0] + 1} hours from {date_at(hours[0])} to {date_at(hours[-1])}"
        raise ValueError(f"{path}: expected a line for at least every other hour, got {len(hours)} lines for {dates}")
    grid = np.arange(hours[0], hours[-1] + 1)
    return Series(hours[0], np.interp(grid, hours, values))


def _row(line, place):
    """Returns (hour, temperature) of a line, column -> text. Raises ValueError that begins with `place`."""
    try:
        hour, text = _hours(line["date"]), line["temp"].strip()
        temperature = float(text or "nan")
    except (AttributeError, KeyError, TypeError, ValueError):
        expected = "the columns date and temp, such as 2010/01/31 23:00,41.5"
        raise ValueError(f"{place}: expected {expected}, got {describe_row(line)}") from None
    if not abs(temperature) <= HIGHEST:  # NaN is not.
        hint = "; leave the line out to interpolate its hour" if np.isnan(temperature) else ""
        expected = f"a temperature from {-HIGHEST:.0f} to {HIGHEST:.0f} °F"
        raise ValueError(f"{place}: expected {expected}, got {text[:40] or 'none'}{hint}")
    return hour, temperature


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
        """Measures a `Series`. The first changes, which are NaN, are left out."""
        deviations = [np.nanstd(x) or 1.0 for x in (series.values, series.changes(1), series.changes(DAY))]
        return cls(np.mean(series.values), *deviations)

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
