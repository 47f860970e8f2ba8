"""scripts/compare.py as users run it: what it prints, and when it fails."""

import os
import re
import subprocess
import sys

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scripts", "compare.py")
SMALL = ["--hidden_sizes=4,3", "--batch_size=3", "--time_steps=4", "--steps=6", "--repeats=2"]


def compare(*flags):
    result = subprocess.run([sys.executable, SCRIPT] + list(flags), capture_output=True)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.parametrize(
    "flags",
    [["--initial_state=projected", "--lengths", "--dtype=float64"], ["--initial_state=learned", "--time_major"]],
)
def test_report(flags):
    status, printed, errors = compare(*(SMALL + flags))
    assert status == 0, errors
    assert "The same numbers on /CPU:0" in printed and "EXCEEDED" not in printed
    assert "engine graph (the first engine" in printed and "peer tensorflow.python.ops.rnn_cell_impl" in printed
    for network in ("StackedLSTM", "dynamic_rnn"):
        assert re.search(r"%s: ops of a training step ran on \S+CPU:0 \(\d+\)" % network, printed)
    state = "W_h" if "--initial_state=projected" in flags else "h"
    for name in (
        "outputs",
        "layer_2 final c",
        "d inputs",
        "d layer_1/Wf",
        "d layer_2/bo",
        "d initial_state/layer_2/" + state,
    ):
        assert re.search(r"^  %s +\d\.\d\de-\d\d +\d\.\d\de-\d\d" % re.escape(name), printed, re.M), name
    losses = re.findall(r"^  (\d+) +([\d.]+) +([\d.]+) +\S+$", printed, re.M)
    assert [int(step) for step, _, _ in losses] == [1, 2, 3, 4, 5, 6]
    for _, ours, theirs in losses:
        assert abs(float(ours) - float(theirs)) < 1e-4 * float(theirs)
    assert re.search(r"^  inference +[\d.]+ ms +[\d.]+ ms +[\d.]+x", printed, re.M)
    assert re.search(r"^  training +[\d.]+ ms +[\d.]+ ms +[\d.]+x", printed, re.M)


def test_exceeded_tolerance_is_named():
    status, printed, errors = compare(*(SMALL + ["--steps=0", "--repeats=0", "--tolerance=1e-12"]))
    assert status == 1
    assert "EXCEEDED" in printed and "training side by side" not in printed
    assert re.search(r"NOT the same numbers:\n  /CPU:0: \S.* differs by \S+ of its size \(1e-12 allowed\)", errors)


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--device=/GPU:7", "expected `--device` to be all or one of /CPU:0"),
        ("--hidden_sizes=4,0", "`--hidden_sizes` to be a non-empty sequence of positive integers, got [4, 0]"),
        ("--hidden_sizes=4,x", "positive integers, got [4, 'x']"),
        ("--data_dir=/nowhere", "seattle-temps.csv"),
    ],
)
def test_bad_flags_are_one_line(flag, message):
    status, _, errors = compare(*(SMALL + [flag]))
    assert status == 2
    lines = [line for line in errors.splitlines() if line.startswith("compare.py: ")]
    assert len(lines) == 1 and message in lines[0] and "Traceback" not in errors
