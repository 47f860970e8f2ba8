"""scripts/shared/pictures.py and the tasks' pictures: what they say, read back from matplotlib's objects."""

import datetime

import numpy as np
import pytest

from shared import pictures
from support.suite.sets import ONCE
from support.training.task_data import read, write_images, write_temperatures
from tasks import fashion_mnist, forecast, temperature_series

pytestmark = [ONCE, pytest.mark.usefixtures("real_pictures")]


def lines_of(axes):
    """label -> y values of the axes' labelled lines."""
    return {line.get_label(): np.array(line.get_ydata()) for line in axes.lines if line.get_label()[0] != "_"}


def test_confusion_matrix_has_labels_in_rows(tmp_path):
    """Ten images with the labels 9 to 0; all are predicted as class 4, except the last two, as 7 and 0."""
    write_images(tmp_path, {"train": 1, "test": 10})
    task = read(fashion_mnist.FashionMnist, tmp_path)
    predictions = np.eye(10)[[4] * 8 + [7, 0]]
    (figure,) = task.pictures("title", predictions).values()
    axes, bar = figure.axes
    actual = {(text.get_position()[1], text.get_position()[0]): int(text.get_text()) for text in axes.texts}
    expected = dict.fromkeys(np.ndindex(10, 10), 0)
    expected.update({(label, 4): 1 for label in range(2, 10)})
    expected.update({(1, 7): 1, (0, 0): 1})
    assert actual == expected
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "label")
    assert [text.get_text() for text in axes.get_yticklabels()] == list(task.CLASSES)
    assert [text.get_text() for text in axes.get_xticklabels()] == list(task.CLASSES)


def test_confusion_matrix_is_coloured_by_the_share_of_the_label():
    figure = pictures.confusion_matrix("title", np.array([[3, 1, 0], [0, 0, 0], [0, 5, 5]]), ("0", "1", "2"))
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, [[0.75, 0.25, 0], [0, 0, 0], [0, 0.5, 0.5]])


def test_curves_have_each_part_and_the_epoch_that_is_kept():
    rows = [
        {"epoch": 1, "train_loss": 3, "validation_loss": 2, "train_accuracy": 0.5, "validation_accuracy": 0.4},
        {"epoch": 2, "train_loss": 1, "validation_loss": 4, "train_accuracy": 0.7, "validation_accuracy": 0.3},
    ]
    figure = pictures.curves("title", rows, ["train", "validation"], "accuracy", "accuracy", {"majority": 0.25}, 1)
    loss, score = [lines_of(axes) for axes in figure.axes]
    assert {name: list(values) for name, values in loss.items() if name != "best epoch, kept"} == {
        "train": [3, 1],
        "validation": [2, 4],
    }
    assert list(score["train"]) == [0.5, 0.7] and list(score["majority"]) == [0.25, 0.25]
    (kept,) = [line for line in figure.axes[0].lines if line.get_label() == "best epoch, kept"]
    assert list(kept.get_xdata()) == [1, 1]


@pytest.mark.parametrize("seen, first", [(48, 872), (1, 825)])
def test_week_has_seven_days_of_truth_and_forecasts(tmp_path, seen, first):
    """Forecasts that are wrong by 1 °F, and by 2 °F, made after `seen` hours."""
    temperatures = 50 + 10 * np.random.RandomState(0).standard_normal(1700)
    write_temperatures(tmp_path, temperatures)
    task = read(forecast.Forecast, tmp_path)
    first = 1360 + 24 + seen  # The test part begins at hour 1360; a day goes for the changes.
    changes = np.stack(list(temperature_series.days(task.test["changes"])), axis=1)
    known = temperatures[:1360]
    daily = (known[24:] - known[:-24]).std()
    figure = task.week("title", {"near": changes + 1 / daily, "far": changes - 2 / daily}, seen)
    upper, lower = figure.axes
    days = len(task.test) // 24 + 1
    begin = first + (days // 2 - 3) * 24
    actual = lines_of(upper)
    np.testing.assert_allclose(actual["truth"], temperatures[begin : begin + 168], atol=1e-4)
    np.testing.assert_allclose(actual["near"], temperatures[begin : begin + 168] + 1, atol=1e-4)
    errors = lines_of(lower)
    np.testing.assert_allclose(errors["near"], 1, atol=1e-4)
    np.testing.assert_allclose(errors["far"], -2, atol=1e-4)
    dates = upper.lines[0].get_xdata()
    assert dates[0] == datetime.datetime(2010, 1, 1) + datetime.timedelta(hours=begin)
    assert dates[-1] - dates[0] == datetime.timedelta(hours=167)


def test_step_errors_have_the_mean_and_the_range_of_the_seeds():
    errors = {"zeros": [[4.0, 2.0], [6.0, 4.0]], "learned": [[1.0, 1.0], [1.0, 3.0]]}
    figure = pictures.step_errors("title", errors, ("naive", 7.0), "error")
    (axes,) = figure.axes
    actual = lines_of(axes)
    assert list(actual["zeros"]) == [5, 3] and list(actual["learned"]) == [1, 2] and list(actual["naive"]) == [7, 7]
    assert [list(line.get_xdata()) for line in axes.lines[:2]] == [[1, 2]] * 2
    band = axes.collections[0].get_paths()[0].vertices
    for step, least, most in ((1, 4, 6), (2, 2, 4)):
        at = band[band[:, 0] == step][:, 1]
        assert (at.min(), at.max()) == (least, most)
