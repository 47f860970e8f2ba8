"""Small data sets in the files that the tasks read, and tasks that have read them."""

import csv
import datetime
import gzip
import struct

import numpy as np

from tasks import fashion_mnist, temperature_series


def idx(values, code=8):
    values = np.asarray(values)
    header = struct.pack(">BBBB", 0, 0, code, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_gzip(path, content):
    with gzip.open(str(path), "wb") as file:
        file.write(content)


def write_images(directory, counts):
    """Fashion-MNIST's files with `counts`, split -> number; pixels count up, labels down from 9, both start again."""
    for split, count in counts.items():
        images, labels = fashion_mnist.FILES[split]
        write_gzip(directory / images, idx((np.arange(count * 784) % 251).reshape(count, 28, 28)))
        write_gzip(directory / labels, idx(9 - np.arange(count) % 10))


def write_temperatures(directory, temperatures, start=datetime.datetime(2010, 1, 1), left_out=()):
    with open(str(directory / temperature_series.FILE), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "temp"])
        for hour, temperature in enumerate(temperatures):
            if hour not in left_out:
                date = start + datetime.timedelta(hours=hour)
                writer.writerow([date.strftime("%Y/%m/%d %H:%M"), repr(float(temperature))])


def read(task, data_dir=None, train_examples=None, **settings):
    """A task of a new run, its data read."""
    always = {"data_dir": data_dir and str(data_dir), "train_dir": "no such directory"}
    new = task(dict(task.defaults(), train_examples=train_examples, **dict(always, **settings)))
    new.read()
    return new
