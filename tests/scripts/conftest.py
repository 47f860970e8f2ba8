"""Tests of the scripts draw no pictures and do not wait for the disk, which would take half of their time."""

import base64
import os

import pytest

from stacked_lstm.commands import charts, output_files

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
