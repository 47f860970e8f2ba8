"""scripts/compare.py as users run it: what it prints, and when it fails."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from absl.testing import flagsaver

from versions import NEEDS_BFLOAT16, OLD

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scripts", "compare.py")
SMALL = ["--hidden_sizes=4,3", "--batch_size=3", "--time_steps=4", "--steps=6", "--repeats=2"]


SOURCES = {
    "dynamic_rnn": r"dynamic_rnn +MultiRNNCell of %s, dynamic_rnn"
    % (r"tf\.nn\.rnn_cell" if OLD else r"tensorflow\.python\.ops\.rnn_cell_impl"),
    "keras": r"keras +%s 2\." % (r"tf\.keras" if OLD else "tf_keras"),
    "numpy": r"numpy +stacked_lstm\.numpy_lstm, float64",
}


def compare(*flags):
    result = subprocess.run([sys.executable, SCRIPT] + list(flags), capture_output=True)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.parametrize(
    "peers, flags",
    [
        (["dynamic_rnn"], ["--initial_state=learned", "--time_major"]),
        (
            ["dynamic_rnn", "keras", "numpy"],
            ["--peer=all", "--initial_state=projected", "--lengths", "--dtype=float64"],
        ),
        pytest.param(["dynamic_rnn", "keras", "numpy"], ["--peer=all", "--dtype=bfloat16"], marks=NEEDS_BFLOAT16),
        (["numpy"], ["--peer=numpy", "--lengths"]),
    ],
)
def test_report(peers, flags):
    status, printed, errors = compare(*(SMALL + flags))
    assert status == 0, errors
    assert "The same numbers on /CPU:0" in printed and "EXCEEDED" not in printed
    for pattern in [r"StackedLSTM +engine graph \(the first engine"] + [SOURCES[peer] for peer in peers]:
        assert re.search("^  " + pattern, printed, re.M), pattern
    for network in set(["StackedLSTM"] + peers) - {"numpy"}:
        assert re.search(r"%s: ops of a training step ran on \S+CPU:0 \(\d+ runs\)" % network, printed)
    assert "\nhidden_sizes=4,3, batch_size=3, time_steps=4, " in printed
    assert re.search(r"^  +%s +allowed$" % " +".join(peers), printed, re.M)
    number, names = r" +\d\.\d\de[-+]\d\d", ["outputs", "layer_2 final c", "d inputs", "d layer_1/Wf", "d layer_2/bo"]
    if "--initial_state=projected" in flags:
        names.append("d initial_state/layer_2/W_h")
    for name in names:
        assert re.search(r"^  %s%s +1e-\d\d$" % (re.escape(name), number * len(peers)), printed, re.M), name
    losses = [line.split() for line in re.findall(r"^  \d+(?: +\d[\d.e-]*){%d}$" % (1 + len(peers)), printed, re.M)]
    assert [int(row[0]) for row in losses] == [1, 2, 3, 4, 5, 6]
    for _, ours, *theirs in losses:
        allowed = 1e-1 if "--dtype=bfloat16" in flags else 1e-4
        assert all(abs(float(ours) - float(loss)) < allowed * float(loss) for loss in theirs)
    for name in ["StackedLSTM"] + peers:
        assert re.search(r"^  %s +[\d.]+ ms +[\d.]+x +[\d.]+ ms +[\d.]+x$" % name, printed, re.M)


def test_exceeded_tolerance_is_named():
    status, printed, errors = compare(*(SMALL + ["--steps=0", "--repeats=0", "--tolerance=1e-12", "--peer=all"]))
    assert status == 1
    assert re.search(r"^  outputs .*1e-12  EXCEEDED: dynamic_rnn, keras, numpy$", printed, re.M)
    assert "training side by side" not in printed
    message = r"NOT the same numbers:\n  /CPU:0: \S.* differs from dynamic_rnn's by \S+ of its size \(1e-12 allowed\)"
    assert re.search(message, errors)


def test_losses_apart_are_named(capsys):
    """The other verdict; the numbers of all networks agree, so its function is called with losses that do not."""
    import compare as script

    with flagsaver.flagsaver():
        script.FLAGS.mark_as_parsed()
        assert script.report_losses(["StackedLSTM", "a", "b"], np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.1]])) == [
            "losses differ from b's by 4.76e-02 in 2 steps (1e-04 allowed)"
        ]
        (message,) = script.report_losses(["StackedLSTM", "a"], np.array([[1.0, np.nan]]))
        assert message.startswith("losses differ from a's by nan")
    assert "apart" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--device=/GPU:7", "expected `--device` to be all or one of /CPU:0"),
        ("--hidden_sizes=4,0", "`--hidden_sizes` to be a non-empty sequence of positive integers, got [4, 0]"),
        ("--hidden_sizes=4,x", "positive integers, got [4, 'x']"),
        ("--data_dir=/nowhere", "seattle-temps.csv"),
        ("--peer=steam", "--peer=steam: value should be one of <dynamic_rnn|keras|numpy|all>"),
        ("--time_steps=0", "--time_steps=0"),
    ],
)
def test_bad_flags_are_one_line(flag, message):
    status, _, errors = compare(*(SMALL + [flag]))
    assert status == 2
    lines = [line for line in errors.splitlines() if line.startswith("compare.py: ")]
    assert len(lines) == 1 and message in lines[0] and "Traceback" not in errors
