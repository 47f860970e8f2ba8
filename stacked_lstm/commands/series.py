"""Synthetic data for the comparison: a reproducible hourly series with a daily cycle, a yearly cycle and noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DAY, YEAR = 24, 8766  # Hours.
HOURS_IN, HOURS_OUT = 48, 24
SEED = 0


class Data(NamedTuple):
    """Windows of a series, to train on.

    Fields:
      description: what the series is, for the report's first lines.
      inputs: [N, T, I].
      targets: [N, horizon].
    """

    description: str
    inputs: np.ndarray
    targets: np.ndarray


def synthetic_series() -> np.ndarray:
    """Returns one year of hourly values, float64 [YEAR].

    x(t) = 10 sin(2 pi t / YEAR) + 5 sin(2 pi t / DAY) + n(t), where the noise n(0) = 0, n(t) = 0.9 n(t - 1) + 0.5 e(t)
    and e(t) are the standard normal numbers of `np.random.RandomState(SEED)`.
    """
    hours = np.arange(YEAR)
    normal = np.random.RandomState(SEED).standard_normal(YEAR)
    noise = np.zeros(YEAR)
    for hour in range(1, YEAR):
        noise[hour] = 0.9 * noise[hour - 1] + 0.5 * normal[hour]
    return 10 * np.sin(2 * np.pi * hours / YEAR) + 5 * np.sin(2 * np.pi * hours / DAY) + noise


def synthetic_data() -> Data:
    """Makes all windows of `synthetic_series`: 48 hours, and the values of the 24 hours that follow.

    The 7 columns of the inputs are the value, in units of the series' deviation from its mean, and sine and cosine of
    the year, the day and half a day. The targets are in the same units.
    """
    series, hours = synthetic_series(), np.arange(YEAR)
    values = (series - series.mean()) / series.std()
    angles = [2 * np.pi * hours / period for period in (YEAR, DAY, DAY / 2)]
    columns = np.stack([values] + [wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=1)
    starts = np.arange(YEAR - HOURS_IN - HOURS_OUT + 1)[:, None]
    return Data(
        f"a synthetic hourly series (day, year and noise; seed {SEED}), made by stacked_lstm.commands.series",
        columns[starts + np.arange(HOURS_IN)],
        values[starts + HOURS_IN + np.arange(HOURS_OUT)],
    )
