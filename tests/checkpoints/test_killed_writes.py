"""`write`, killed at each event of the file system: the old file or the new one stays, and the next write cleans up."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from support.suite.sets import EXHAUSTIVE, ONCE

SUPPORT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support", "files")
PACKAGES = {"safetensors": "safetensors", "onnx": "onnx"}

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="events are counted on Linux"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++"),
]


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """The path of the library that counts events."""
    library = str(tmp_path_factory.mktemp("events") / "file_events.so")
    source = os.path.join(SUPPORT, "file_events.cc")
    subprocess.run(["g++", "-std=c++14", "-shared", "-fPIC", "-Wall", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize(
    "name, format, start, least",
    [
        ("model.npz", "", "first", 20),
        ("model.npz", "", "again", 20),
        pytest.param("model.safetensors", "", "again", 7, marks=EXHAUSTIVE),
        pytest.param("model.weights.h5", "", "again", 7, marks=EXHAUSTIVE),
        pytest.param("model.onnx", "", "first", 6, marks=EXHAUSTIVE),
        pytest.param("own.ckpt", "stacked_lstm", "first", 35, marks=EXHAUSTIVE),
        pytest.param("own.ckpt", "stacked_lstm", "again", 35, marks=ONCE),
    ],
)
def test_killed_at_every_event(name, format, start, least, counter, tmp_path):
    pytest.importorskip(PACKAGES.get(name.rpartition(".")[2], "numpy"), reason="that extra is not installed")
    program = [sys.executable, os.path.join(SUPPORT, "killed_writes.py"), str(tmp_path), name, format, start]
    result = subprocess.run(program, capture_output=True, env=dict(os.environ, LD_PRELOAD=counter))
    assert result.returncode == 0, result.stderr.decode()
    rows = json.loads(result.stdout.decode())
    assert [row[0] for row in rows] == [9] * (len(rows) - 1) + [0] and len(rows) > least  # Killed, and once not.
    before = {"first": "none", "again": "old"}[start]
    states = [row[1] for row in rows]
    change = states.index("new")
    assert states == [before] * change + ["new"] * (len(rows) - change) and 0 < change < len(rows) - 1
    for _, _, next_end, next_state, names in rows:
        assert next_end == 0 and next_state == "next"
        if name != "own.ckpt":
            assert names == [name]
            continue
        count = len(names) - 2
        shards = [f"own.ckpt.data-{k:05}-of-{count:05}" for k in range(count)]
        assert count > 0 and names == ["checkpoint", *shards, "own.ckpt.index"]
