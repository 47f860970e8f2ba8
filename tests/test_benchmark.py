"""scripts/benchmark.py: that it measures what it says, never how fast."""

import json
import os
import re
import subprocess
import sys

import pytest

import benchmark
import contestants

SCRIPT = os.path.abspath(benchmark.__file__)


def test_operations():
    """Two layers by hand: 2 T B 4H (I + H), then 2 T B 4H 2H, tripled for training."""
    shape = contestants.Shape(steps=3, batch=2, input_size=5, hidden_size=7, layers=2)
    forward = 2 * 3 * 2 * 28 * 12 + 2 * 3 * 2 * 28 * 14
    assert shape.operations("inference") == forward and shape.operations("training") == 3 * forward


def test_shapes():
    assert benchmark.parse_shapes("1,2,3,4,5; 10,20,30,40,50") == [(1, 2, 3, 4, 5), (10, 20, 30, 40, 50)]
    for text in ("1,2,3,4", "1,2,3,4,0", "1,2,3,4,x", ""):
        with pytest.raises(ValueError, match="expected T,B,I,H,L"):
            benchmark.parse_shapes(text)


def test_table_and_measurements(tmp_path):
    path = tmp_path / "measured.json"
    arguments = ["--shapes=3,2,4,8,2", "--rounds=2", "--seconds=0.01", "--contestants=graph,dynamic_rnn"]
    result = subprocess.run([sys.executable, SCRIPT, "--json=%s" % path] + arguments, capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    rows = re.findall(r"^\| 3,2,4,8,2 \| (\w+) \| (\w+) \| ([\d.]+) \|", result.stdout.decode(), re.M)
    expected = [(mode, name) for mode in ("inference", "training") for name in ("graph", "dynamic_rnn")]
    assert [row[:2] for row in rows] == expected
    measured = json.loads(path.read_text())
    for (mode, name, median), row in zip(rows, measured):
        assert (row["mode"], row["contestant"]) == (mode, name)
        assert abs(float(median) - row["median_ms"]) < 0.01 and row["p10_ms"] <= row["median_ms"]
        assert row["steps"] >= 2 and row["megabytes"] >= 0
        operations = contestants.Shape(3, 2, 4, 8, 2).operations(mode)
        assert row["gflops"] == pytest.approx(operations / row["median_ms"] / 1e6)
    by_name = {row["contestant"]: row for row in measured[:2]}
    ratio = by_name["dynamic_rnn"]["median_ms"] / by_name["graph"]["median_ms"]
    assert by_name["graph"]["times_as_fast"] == pytest.approx(ratio) and by_name["dynamic_rnn"]["times_as_fast"] == 1


def test_missing_library_is_left_out_by_name(tmp_path):
    """The others go on; a module of that name that cannot be imported stands for a missing one."""
    (tmp_path / "tf_keras.py").write_text("raise ImportError('no tf_keras here')")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    arguments = [
        "--shapes=3,2,4,8,1",
        "--rounds=1",
        "--seconds=0.01",
        "--contestants=tf_keras,graph",
        "--modes=inference",
    ]
    result = subprocess.run([sys.executable, SCRIPT] + arguments, capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr.decode()
    assert "tf_keras is left out: ImportError: no tf_keras here" in result.stderr.decode()
    printed = result.stdout.decode()
    assert "| inference | graph |" in printed and "| inference | tf_keras |" not in printed


@pytest.mark.parametrize(
    "flag", ["--contestants=nobody", "--modes=sleeping", "--shapes=1", "--json=/nowhere/measured.json"]
)
def test_bad_flags(flag):
    result = subprocess.run([sys.executable, SCRIPT, flag], capture_output=True)
    assert result.returncode == 1
    assert "benchmark.py: %s: expected" % flag.split("=")[0] in result.stderr.decode()
