"""Tests of the scripts draw no pictures, do not wait for the disk, and do without TensorFlow's graph optimizer.

These would take most of their time.
"""

import base64
import os

import pytest

from stacked_lstm.commands import charts, output_files
from stacked_lstm.compat import tf
from support.suite import sessions

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def save_dot(path, figure):
    def write(temporary):
        with open(temporary, "wb") as file:
            file.write(DOT)

    output_files.replace(path, write)


@pytest.fixture
def real_pictures():
    """For tests that look at pictures."""


@pytest.fixture(autouse=True)
def pictures_are_dots(request, monkeypatch):
    if "real_pictures" not in request.fixturenames:
        monkeypatch.setattr(charts, "save", save_dot)


@pytest.fixture(autouse=True)
def disks_are_not_waited_for(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def graph_optimizer():
    """For tests that compare a run with one that has the optimizer: in a process of its own, or on several devices."""


@pytest.fixture(autouse=True)
def no_graph_optimizer(request):
    """In the quick set, for sessions without a configuration; those of replicas and clusters have one."""
    is_off = sessions.quick and "graph_optimizer" not in request.fixturenames
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": is_off})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
