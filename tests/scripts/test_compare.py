"""scripts/compare.py and stacked-lstm-compare: the report, the chart, and the exit status."""

import importlib.util
import os
import re
import sys

import numpy as np
import pytest
from absl import flags as absl_flags

import compare as script
from stacked_lstm import parity, tf32
from stacked_lstm.commands import charts, command, report, series
from stacked_lstm.commands import compare as package_command
from stacked_lstm.compat import tf
from support.engines.native_ops import auto_engine
from support.processes import programs
from support.suite.paths import ROOT
from support.suite.places import NEEDS_GPU
from support.suite.sets import ONCE
from support.suite.versions import NEEDS_BFLOAT16, OLD

NEEDS_TF_KERAS = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 has a Keras 2 of its own")
SMALL = ["--hidden_sizes=4,3", "--batch_size=3", "--time_steps=4", "--steps=6", "--repeats=2"]


SOURCES = {
    "dynamic_rnn": r"dynamic_rnn +MultiRNNCell of %s, dynamic_rnn"
    % (r"tf\.nn\.rnn_cell" if OLD else r"tensorflow\.python\.ops\.rnn_cell_impl"),
    "keras": r"keras +%s 2\." % (r"tf\.keras" if OLD else "tf_keras"),
    "numpy": r"numpy +stacked_lstm\.numpy_lstm, float64",
    "pytorch": r"pytorch +torch\.nn\.LSTM of torch \S+ on the CPU",
}


def in_a_shell(*flags):
    """(exit status, stdout, stderr) of the program as users run it."""
    result = programs.run([os.path.abspath(script.__file__), *flags])
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.fixture
def compare(capsys):
    """Returns a function like `in_a_shell` that runs a command, `module`, in this process."""

    def run(*flags, module=script):
        status, message, values = 0, "", absl_flags.FlagValues()
        module.define_flags(values)
        try:
            with command.one_line_errors(module.__file__):
                values([module.__file__] + list(flags))
                module.main(values)
        except SystemExit as end:  # With a string for stderr and status 1, or with a status.
            status, message = (1, end.code) if isinstance(end.code, str) else (end.code, "")
        printed = capsys.readouterr()
        return status, printed.out, printed.err + message

    return run


def check_report(report, engine, peers, names=(), losses_apart=1e-4):
    status, printed, errors = report
    assert status == 0, errors
    assert "All differences are within the tolerances on /CPU:0" in printed and "EXCEEDED" not in printed
    for pattern in [r"StackedLSTM +engine " + engine] + [SOURCES[peer] for peer in peers]:
        assert re.search("^  " + pattern, printed, re.M), pattern
    for network in set(["StackedLSTM"] + peers) - {"numpy", "pytorch"}:
        assert re.search(rf"{network}: ops of a training step ran on \S+CPU:0 \(\d+ runs\)", printed)
    assert "\nhidden_sizes=4,3, batch_size=3, time_steps=4, " in printed
    assert re.search(rf"^  +{' +'.join(peers)} +allowed$", printed, re.M)
    number = r" +\d\.\d\de[-+]\d\d"
    for name in ["outputs", "layer_2 final c", "d inputs", "d layer_1/Wf", "d layer_2/bo"] + list(names):
        assert re.search(rf"^  {re.escape(name)}{number * len(peers)} +1e-\d\d$", printed, re.M), name
    losses = [line.split() for line in re.findall(rf"^  \d+(?: +\d[\d.e-]*){{{1 + len(peers)}}}$", printed, re.M)]
    assert [int(row[0]) for row in losses] == [1, 2, 3, 4, 5, 6]
    for _, reference, *losses_of_peers in losses:
        assert all(abs(float(reference) - float(loss)) < losses_apart * float(loss) for loss in losses_of_peers)
    for name in ["StackedLSTM"] + peers:
        assert re.search(rf"^  {name} +[\d.]+ ms +[\d.]+x +[\d.]+ ms +[\d.]+x$", printed, re.M)


TORCH = importlib.util.find_spec("torch") is not None
ALL = ["dynamic_rnn", "keras", "numpy"] + ["pytorch"] * TORCH


@ONCE
def test_report_of_all_peers(compare):
    flags = ["--peer=all", "--initial_state=projected", "--lengths", "--dtype=float64", "--engine=graph"]
    report = compare(*SMALL, *flags)
    check_report(report, r"graph \(asked for by name\)", ALL, ["d initial_state/layer_2/W_h"])
    assert ("Left out" in report[1]) == (not TORCH)


LITTLE = SMALL + ["--steps=0", "--repeats=0", "--engine=graph"]


@pytest.mark.parametrize(
    "peer, library", [("pytorch", "torch"), pytest.param("keras", "tf_keras", marks=NEEDS_TF_KERAS)]
)
def test_a_peer_asked_for_by_name_must_be_there(peer, library, compare, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    check_one_line(compare(*LITTLE, "--peer=" + peer), f"--peer={peer} needs the package")


@ONCE
def test_a_gpu(compare, monkeypatch):
    """The graph is for a GPU and runs where TensorFlow can; TF32 is off before, and other libraries get memory, too."""
    turned_off, sessions, session_class = [], [], tf.Session
    monkeypatch.setattr(
        tf32, "off_unless_asked_for", lambda: turned_off.append(len(tf.get_default_graph().get_operations()))
    )
    monkeypatch.setattr(package_command, "devices_present", lambda: ["/CPU:0", "/GPU:0"])
    monkeypatch.setattr(tf, "Session", lambda **options: sessions.append(options["config"]) or session_class(**options))
    for device, times in (("/CPU:0", 0), ("/GPU:0", 1)):
        status, printed, errors = compare(*LITTLE, "--peer=numpy", "--device=" + device)
        assert status == 0, errors
        assert f"All differences are within the tolerances on {device}." in printed and len(turned_off) == times
    assert turned_off == [0]
    assert len(sessions) == 2 and all(config.gpu_options.allow_growth for config in sessions)


@pytest.mark.gpu
@NEEDS_GPU
def test_on_a_gpu():
    """All peers, in a new process, because the first session of a process decides how memory is shared."""
    status, printed, errors = in_a_shell(*SMALL, "--peer=all", "--lengths", "--device=/GPU:0")
    assert status == 0, errors
    assert re.search(r"StackedLSTM: ops of a training step ran on .*GPU:0 \(\d+ runs\)", printed)
    assert "All differences are within the tolerances on /GPU:0." in printed


@NEEDS_BFLOAT16
def test_report_in_bfloat16(compare):
    engine = r"graph \(not cudnn: .*; not native: it computes in float32 and float64"
    check_report(compare(*SMALL, "--peer=all", "--dtype=bfloat16"), engine, ALL, losses_apart=1e-1)


def test_report_of_one_peer(compare):
    check_report(compare(*SMALL, "--peer=numpy", "--lengths"), auto_engine(), ["numpy"])


def test_report_in_a_shell():
    report = in_a_shell(*SMALL, "--initial_state=learned", "--time_major")
    check_report(report, rf"{auto_engine()} \(not cudnn: .*the first engine that supports", ["dynamic_rnn"])


@ONCE
def test_exceeded_tolerance_is_named_for_all_peers_that_are_there(compare, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, printed, errors = compare(*SMALL, "--steps=0", "--repeats=0", "--tolerance=1e-12", "--peer=all")
    assert status == 1
    (left_out,) = re.findall("^Left out: (.*)$", printed, re.M)
    assert re.match(r"pytorch \(--peer=pytorch needs the package torch \(.*\): pip install torch\)$", left_out)
    assert re.search(r"^ +dynamic_rnn +keras +numpy +allowed$", printed, re.M)
    assert re.search("^  outputs .*1e-12  EXCEEDED: dynamic_rnn, keras, numpy$", printed, re.M)
    assert "training side by side" not in printed
    message = (
        r"NOT within the tolerances:\n  /CPU:0: \S.* differs from dynamic_rnn's by \S+ of its size \(1e-12 allowed\)"
    )
    assert re.search(message, errors)


def test_losses_apart_are_named(capsys):
    """The numbers of all networks agree, so the function is called with losses that do not."""
    losses = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.1]])
    assert report.print_losses(["StackedLSTM", "a", "b"], losses, "float32") == [
        "losses differ from b's by 4.76e-02 in 2 steps (1e-04 allowed)"
    ]
    (message,) = report.print_losses(["StackedLSTM", "a"], np.array([[1.0, np.nan]]), "float32")
    assert message.startswith("losses differ from a's by nan")
    assert "apart" in capsys.readouterr().out


# The data


def test_a_directory_without_its_data(compare):
    check_one_line(compare(*LITTLE, "--data=synthetic", "--data_dir=x"), "--data_dir: expected none with --data=synth")


def test_the_first_lines_say_which_data(compare, tmp_path):
    for data, line in (
        ("temperatures", "data: hourly temperatures of Seattle, seattle-temps.csv of the package vega-datasets"),
        ("synthetic", "data: a synthetic hourly series "),
    ):
        status, printed, errors = compare(*LITTLE, "--engine=auto", "--peer=numpy", "--data=" + data)
        assert status == 0, errors
        assert printed.splitlines()[1].startswith(line)


def test_synthetic_series_by_hand():
    """The first hours by the formula, one by one; and windows that are parts of the series."""
    normal, noise, expected = np.random.RandomState(0).standard_normal(8766), 0.0, [0.0]
    for hour in range(1, 100):
        noise = 0.9 * noise + 0.5 * normal[hour]
        expected.append(10 * np.sin(2 * np.pi * hour / 8766) + 5 * np.sin(2 * np.pi * hour / 24) + noise)
    values = series.synthetic_series()
    np.testing.assert_allclose(values[:100], expected, atol=1e-12)
    data = series.synthetic_data()
    assert data.inputs.shape == (8766 - 71, 48, 7) and data.targets.shape == (8766 - 71, 24)
    units = (values - values.mean()) / values.std()
    np.testing.assert_allclose(data.inputs[10, :, 0], units[10:58])
    np.testing.assert_allclose(data.targets[10], units[58:82])
    np.testing.assert_allclose(data.inputs[3, 5, 3:5], [np.sin(2 * np.pi * 8 / 24), np.cos(2 * np.pi * 8 / 24)])


def test_the_package_alone_compares(tmp_path):
    """`stacked-lstm-compare` where nothing is installed except TensorFlow and what it needs."""
    modules = ("vega_datasets", "matplotlib", "torch", "tf_keras", "tqdm", "onnx", "safetensors", "peers")
    program = f"""
import sys
sys.modules.update(dict.fromkeys({modules!r}))
from stacked_lstm.commands import compare
compare.run()
"""
    small = SMALL + ["--engine=graph", "--peer=all"]
    environment = dict(os.environ, PYTHONPATH=ROOT)
    result = programs.run(["-c", program, *small], env=environment, cwd=tmp_path)
    printed = result.stdout.decode()
    assert result.returncode == 0, result.stderr.decode()
    check_report((0, printed, ""), r"graph \(asked for by name\)", ["dynamic_rnn", "numpy"])
    assert printed.splitlines()[1].startswith("data: a synthetic hourly series ")


def test_the_command_of_the_package_knows_no_other_peers(compare):
    check_one_line(
        compare(*SMALL, "--peer=keras", module=package_command),
        "--peer=keras: value should be one of <dynamic_rnn|numpy|all>",
    )


# The chart


@ONCE
def test_chart(compare, tmp_path):
    path = tmp_path / "differences.png"
    status, printed, errors = compare(*LITTLE, "--peer=numpy", f"--chart={path}")
    assert status == 0, errors
    assert f"chart: {path}" in printed and path.read_bytes()[:4] == b"\x89PNG"


@ONCE
def test_chart_has_a_dot_per_tensor_and_peer():
    """Read back from matplotlib's objects, with an exact tensor at the left edge and NaN at the right one."""
    measured = [
        ("/CPU:0", parity.Difference(peer, name, value, 1e-5))
        for peer, values in (("numpy", [1e-7, 0.0]), ("keras", [3e-6, np.nan]))
        for name, value in zip(["outputs", "d inputs"], values)
    ]
    (axes,) = charts.draw_differences(measured).axes
    dots = {c.get_label(): [(float(x), round(y)) for x, y in c.get_offsets()] for c in axes.collections}
    low, high = axes.get_xlim()
    assert axes.get_xscale() == "log" and [t.get_text() for t in axes.get_yticklabels()] == ["outputs", "d inputs"]
    assert dots["numpy"][0] == (1e-7, 0) and dots["keras"][0] == (3e-6, 0)
    assert low < dots["numpy"][1][0] < 1e-7 and dots["numpy"][1][1] == 1
    assert 1e-5 < dots["keras"][1][0] < high
    (line,) = axes.lines
    assert list(line.get_xdata()) == [1e-5, 1e-5] and line.get_label() == "allowed: 1e-05"


def test_a_chart_needs_matplotlib_and_a_folder(compare, monkeypatch, tmp_path):
    check_one_line(compare(*LITTLE, f"--chart={tmp_path}/no/where.png"), "--chart: expected the name of a file in an")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    check_one_line(compare(*LITTLE, f"--chart={tmp_path}/x.png"), "pip install matplotlib")


# Misuse


def check_one_line(report, message):
    status, _, errors = report
    assert status == 2
    lines = [line for line in errors.splitlines() if line.startswith("compare.py: ")]
    assert len(lines) == 1 and message in lines[0] and "Traceback" not in errors


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--tolerance=nan", "--tolerance: expected a finite number, got nan"),
        ("--learning_rate=inf", "--learning_rate: expected a finite number, got inf"),
        ("--chart=", "--chart: expected the name of a file in an existing folder, got none"),
        ("--hidden_sizes=4,\u00b2", "--hidden_sizes: expected positive integers, such as 32,32,64, got 4,\u00b2"),
        ("--hidden_sizes=4,0", "--hidden_sizes: expected positive integers, such as 32,32,64, got 4,0"),
        ("--hidden_sizes=4,x", "positive integers, such as 32,32,64, got 4,x"),
        ("--data_dir=/nowhere", "seattle-temps.csv"),
        ("--peer=steam", "--peer=steam: value should be one of <dynamic_rnn|keras|numpy|pytorch|all>"),
        ("--time_steps=0", "--time_steps=0"),
    ],
)
def test_bad_flags_are_one_line(flag, message, compare):
    check_one_line(compare(*SMALL, flag), message)


@ONCE
def test_a_bad_flag_in_a_shell():
    check_one_line(in_a_shell(*SMALL, "--device=/GPU:7"), "--device: expected one of /CPU:0, all, got /GPU:7")
