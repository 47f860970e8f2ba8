"""scripts/tasks/: what the tasks read, and what they refuse. The tests compute all expected values."""

import csv
import datetime
import struct
import sys

import numpy as np
import pytest

from support.training.task_data import idx, read, write_gzip, write_images, write_temperatures
from tasks import TASKS, fashion_mnist, forecast, temperature_series

IMAGES, LABELS = fashion_mnist.FILES["train"]
SPLITS = {"train": 7, "test": 3}


@pytest.fixture
def images_dir(tmp_path):
    write_images(tmp_path, SPLITS)
    return tmp_path


def test_every_task_has_what_the_table_promises():
    names = {"batch_size", "epochs", "hidden_sizes", "initial_state", "learning_rate", "weight_initializer"}
    for task in TASKS.values():
        assert names <= set(task.DEFAULTS)
        assert task.METRIC and task.METRIC_LABEL


# Fashion-MNIST


def test_idx_files_are_read(images_dir):
    task = read(fashion_mnist.FashionMnist, images_dir)
    assert {"train": len(task.train), "test": len(task.test)} == SPLITS
    batch = task.train.feed(np.array([2, 0]))
    assert batch["images"].shape == (2, 28, 28)
    assert batch["images"][0, 1, 3] == (2 * 784 + 28 + 3) % 251
    assert batch["labels"].tolist() == [7, 9]


def test_only_the_first_training_examples(images_dir):
    task = read(fashion_mnist.FashionMnist, images_dir, train_examples=2)
    assert len(task.train) == 2 and len(task.test) == 3
    assert task.train.feed(np.arange(2))["labels"].tolist() == [9, 8]
    with pytest.raises(ValueError, match="--train_examples: expected at most the 7 there are, got 8"):
        read(fashion_mnist.FashionMnist, images_dir, train_examples=8)


def test_missing_images_are_one_line_that_says_how_to_get_them(images_dir):
    (images_dir / LABELS).unlink()
    with pytest.raises(FileNotFoundError) as raised:
        read(fashion_mnist.FashionMnist, images_dir)
    message = str(raised.value)
    assert "\n" not in message
    for part in (str(images_dir), LABELS, "apt install dataset-fashion-mnist", "fashion_mnist.load_data()"):
        assert part in message


def test_default_directories_are_tried_in_order(images_dir, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(fashion_mnist, "DEFAULT_DIRS", (str(empty), str(images_dir)))
    assert fashion_mnist.find() == str(images_dir)
    monkeypatch.setattr(fashion_mnist, "DEFAULT_DIRS", (str(empty),))
    with pytest.raises(FileNotFoundError, match=IMAGES):
        fashion_mnist.find()


ONE_IMAGE = idx(np.zeros([1, 28, 28]))


@pytest.mark.parametrize(
    "name, content, message",
    [
        (IMAGES, idx(np.zeros([7, 28, 28]), code=9), "IDX header that starts with 00000803, got 00000903"),
        (IMAGES, idx(np.zeros([7, 784])), "IDX header that starts with 00000803, got 00000802"),
        (IMAGES, ONE_IMAGE[:9], "IDX header that starts with 00000803"),
        (IMAGES, b"", "IDX header that starts with 00000803"),
        (IMAGES, ONE_IMAGE[:-5], r"expected 784 values of shape \(1, 28, 28\), got 779"),
        (IMAGES, ONE_IMAGE + b"\0", r"expected 784 values of shape \(1, 28, 28\), got more than 784"),
        (IMAGES, idx(np.zeros([7, 27, 28])), "expected images of 28 x 28, got 27 x 28"),
        # 2**32 * 2**32 is 0 in 64 bits.
        (IMAGES, struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 2**31, 4), "expected at most 1073741824 values, got"),
        (IMAGES, struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 28, 28), "expected at most 1073741824 values, got"),
        (LABELS, idx(np.zeros([6])), "expected a label per image, got 6 for 7"),
        (LABELS, idx(np.full([7], 10)), "expected labels 0 to 9, got 10"),
    ],
)
def test_damaged_idx_files_are_refused(images_dir, name, content, message):
    write_gzip(images_dir / name, content)
    with pytest.raises(ValueError, match=name + ".*" + message):
        read(fashion_mnist.FashionMnist, images_dir)


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_images_are_refused(images_dir, split):
    write_images(images_dir, dict(SPLITS, **{split: 0}))
    with pytest.raises(ValueError, match=fashion_mnist.FILES[split][0] + ": expected images, got none"):
        read(fashion_mnist.FashionMnist, images_dir)


@pytest.mark.parametrize("damage", [lambda whole: whole[:-20], lambda whole: b"not gzip"])
def test_damaged_gzip_files_are_refused(images_dir, damage):
    path = images_dir / IMAGES
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=IMAGES + ".*whole gzip file"):
        read(fashion_mnist.FashionMnist, images_dir)


# Forecast


def test_seasonal_naive_error_by_hand():
    """Day k is k * (k + 1) / 2 everywhere, so that the change to day k is k: one window's targets see days 3 and 4."""
    values = np.repeat([0.0, 1.0, 3.0, 6.0, 10.0], 24)
    assert temperature_series.seasonal_naive_mae(temperature_series.Series(0, values[:96])) == 3.0
    # 25 windows, the first all in day 3, the last all in day 4: on average half of each.
    assert temperature_series.seasonal_naive_mae(temperature_series.Series(0, values)) == 3.5


def test_windows_cover_what_follows_what_they_know():
    known, to_come = temperature_series.windows(np.arange(100.0))
    assert known.shape == (5, 48) and to_come.shape == (5, 24)
    assert known[0, 0] == 24  # after the first day
    assert np.array_equal(to_come[:, 0], known[:, -1] + 1)
    assert to_come[-1, -1] == 99


def test_training_sees_no_hour_of_the_test_part(tmp_path):
    """If every hour of one part changes, the examples of the other part stay the same."""
    hours, boundary = 1000, 800
    temperatures = 50 + 10 * np.random.RandomState(0).standard_normal(hours)
    tasks = []
    for part in (slice(0, 0), slice(boundary, hours), slice(0, boundary)):
        changed = temperatures.copy()
        changed[part] += 100
        write_temperatures(tmp_path, changed)
        task = read(forecast.Forecast, tmp_path)
        tasks.append((task.train.feed(np.arange(len(task.train))), task.test, task.baselines))
    (train, test, baselines), (train_2, test_2, _), (_, _, baselines_3) = tasks
    # All windows of 24 + 48 + 24 hours that fit into 800 hours, and into 200.
    assert len(train["inputs"]) == 800 - 96 + 1 and len(test) == 200 - 96 + 1
    for name in train:
        assert np.array_equal(train[name], train_2[name])
    assert not np.array_equal(test.feed(np.arange(1))["inputs"], test_2.feed(np.arange(1))["inputs"])
    assert baselines == baselines_3


def test_examples_hold_standardised_temperatures_changes_and_the_clock(tmp_path):
    temperatures = 50 + 10 * np.random.RandomState(1).standard_normal(1000)
    write_temperatures(tmp_path, temperatures, start=datetime.datetime(2010, 1, 1, 5))
    task = read(forecast.Forecast, tmp_path)
    number, hour = 7, 30  # Hour 30 of window 7 is hour 24 + 7 + 30 of the file, and that began at 5 o'clock.
    at = 24 + number + hour
    batch = task.train.feed(np.array([number]))
    known = temperatures[:800]
    daily = (known[24:] - known[:-24]).std()
    angle = 2 * np.pi * (5 + at) / 24
    expected = [
        (known[at] - known.mean()) / known.std(),
        (known[at] - known[at - 1]) / np.diff(known).std(),
        (known[at] - known[at - 24]) / daily,
        np.sin(angle),
        np.cos(angle),
        np.sin(2 * angle),
        np.cos(2 * angle),
    ]
    np.testing.assert_allclose(batch["inputs"][0, hour], expected, rtol=1e-5, atol=1e-5)
    first = 24 + number + 48
    changes = known[first : first + 24] - known[first - 24 : first]
    np.testing.assert_allclose(batch["changes"][0, -24:] * daily, changes, rtol=1e-5, atol=1e-5)
    changes = known[at + 1 : at + 25] - known[at - 23 : at + 1]  # The day that follows this hour.
    np.testing.assert_allclose(
        list(temperature_series.days(batch["changes"]))[hour][0] * daily, changes, rtol=1e-5, atol=1e-5
    )


def test_hours_left_out_are_interpolated(tmp_path):
    write_temperatures(tmp_path, np.arange(600.0) ** 2, left_out=[100])
    series = temperature_series.read(str(tmp_path / temperature_series.FILE))
    assert len(series) == 600
    assert series.values[100] == (99**2 + 101**2) / 2


TWO_HOURS = "date,temp\n2010/01/01 00:00,3\n2010/01/01 01:00,%s\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "date,wind\n2010/01/01 00:00,3\n",
            "line 2: expected the columns date and temp, .*, got date=2010/01/01 00:00, wind=3$",
        ),
        (
            "date,temp\n2010/01/01 00:00,3\n2010-01-01 01:00,3\n",
            "line 3: expected the columns date and temp, .*, got date=2010-01-01 01:00, temp=3$",
        ),
        ("date,temp\n2010/01/01 00:00,warm\n", "line 2: expected the columns date and temp, .*, got .*temp=warm$"),
        ("date,temp\n2010/01/01 00:00\n", "line 2: expected the columns date and temp, .*, got date=2010/01/01 00:00$"),
        (
            "date,temp\n2010/01/01 01:00,3\n2010/01/01 01:00,3\n",
            "line 3: expected an hour after that of the line before, got one that is no later",
        ),
        ("date,temp\n2010/01/01 01:00,3\n", "expected at least 480 hours, got 1"),
        ("date,temp\n" + "a" * 140000 + ",3\n", "line 2: expected CSV .field larger"),
        ("date,temp\n" + "a" * 130000 + ",3\n", "line 2: expected the columns date and temp, .*, got date=a{75}$"),
        (TWO_HOURS % "1e308", "line 3: expected a temperature from -1000000 to 1000000 °F, got 1e308$"),
        (TWO_HOURS % "-inf", "line 3: expected a temperature from -1000000 to 1000000 °F, got -inf$"),
        (TWO_HOURS % "NaN", "line 3: expected a temperature from -1000000 to 1000000 °F, got NaN; leave the line out "),
        (TWO_HOURS % " ", "line 3: .*, got none; leave the line out to interpolate its hour$"),
        (b"date,temp\n\xb1,3\n", "line 2: expected UTF-8, got byte 0xb1"),
        (b"\xff\xfed\0a\0t\0e\0", "line 1: expected UTF-8, got byte 0xff"),
        (b"date,temp\n2010/01/01 00:00,3\0\n", "line 2: expected "),
    ],
)
def test_damaged_temperatures_are_refused(tmp_path, text, message):
    (tmp_path / temperature_series.FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match="^[^\n]*" + temperature_series.FILE + "[^\n]*" + message) as raised:
        read(forecast.Forecast, tmp_path)
    assert len(str(raised.value)) < 500


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    write_temperatures(tmp_path, np.arange(480.0))
    path = tmp_path / temperature_series.FILE
    expected = temperature_series.read(str(path)).values
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert np.array_equal(temperature_series.read(str(path)).values, expected)


def test_dates_far_apart_are_refused_before_they_fill_the_memory(tmp_path):
    """As many hours may be missing as there are lines; between the last two dates here are 7000 years."""
    write_temperatures(tmp_path, np.arange(1000.0), left_out=range(100, 599))
    path = tmp_path / temperature_series.FILE
    assert len(temperature_series.read(str(path))) == 1000
    path.write_text(path.read_text() + "9010/01/01 00:00,3\n")
    with pytest.raises(
        ValueError, match="seattle-temps.csv: expected a line for at least every other hour, got 502 lines"
    ):
        read(forecast.Forecast, tmp_path)


def test_shortest_file_has_an_example_of_each_kind(tmp_path):
    write_temperatures(tmp_path, np.arange(480.0))
    task = read(forecast.Forecast, tmp_path)
    assert len(task.train) == 480 - 96 - 96 + 1 and len(task.test) == 1


def test_missing_temperatures_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="seattle-temps.csv"):
        read(forecast.Forecast, tmp_path)


def test_missing_package_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vega_datasets", None)
    with pytest.raises(ImportError, match="pip install vega-datasets") as raised:
        read(forecast.Forecast)
    assert "\n" not in str(raised.value)


def test_real_temperatures():
    """The package's year: one hour is missing, and a plain loop has the same baseline."""
    task = read(forecast.Forecast)
    with open(temperature_series.package_dir() + "/" + temperature_series.FILE) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 365 * 24 - 1
    hours = 7008  # 80 % of a year
    assert len(task.train) == hours - 96 + 1 and len(task.test) == 365 * 24 - hours - 96 + 1
    test = [float(row["temp"]) for row in rows[hours - 1 :]]
    errors = [
        abs(test[start + 72 + hour] - test[start + 48 + hour]) for start in range(len(task.test)) for hour in range(24)
    ]
    assert task.baselines["seasonal_naive_mae"] == pytest.approx(sum(errors) / len(errors), rel=1e-9)
