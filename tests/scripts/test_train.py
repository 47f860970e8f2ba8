"""scripts/train.py: its flags, what a run leaves behind, messages and exit statuses."""

import json
import os
import sys

import absl.flags
import numpy as np
import pytest

import peers
import train
from shared import layer_options
from stacked_lstm import compat
from stacked_lstm.commands import command
from stacked_lstm.compat import tf
from support.processes import programs
from support.references.numeric import relative_difference
from support.suite.sets import ONCE
from support.suite.versions import OLD
from support.training.tiny_runs import SCRIPTS, assert_same, command_line, files_of, flag_values, rows_of, run, weights
from tasks import TASKS, networks
from tasks.fashion_mnist import FashionMnist
from training import settings, trainer

WITH_TF_KERAS = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 can have no tf-keras")

# What a run leaves behind


def test_a_run_ends_with_its_numbers_as_json(arguments, capsys):
    run(arguments)
    *lines, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    recalls = {name: result.pop("test_recall_" + name) for name in FashionMnist.CLASSES}
    assert sorted(result) == ["epoch", "seconds_per_epoch", "test_accuracy", "test_macro_f1", "train_accuracy"]
    assert sum(recalls[FashionMnist.CLASSES[label]] for label in (9, 8, 7, 6, 5)) == pytest.approx(
        5 * result["test_accuracy"]
    )
    assert result["epoch"] == 2 and result["seconds_per_epoch"] > 0
    assert result["train_accuracy"] * 12 == pytest.approx(round(result["train_accuracy"] * 12), abs=1e-4)
    assert lines[0] == "fashion_mnist: 12 training and 5 test examples"
    assert len([line for line in lines if line.startswith("network: StackedLSTM [3, 2], engine ")]) == 1
    assert [line.split(",")[0] for line in lines if line.startswith("epoch")] == ["epoch  1", "epoch  2"]


def test_a_run_leaves_pictures_and_scalars_for_tensorboard(arguments, real_pictures, session):
    run(arguments)
    pictures = {name[:-4]: content for name, content in files_of(arguments["train_dir"]).items() if "png" in name}
    assert sorted(pictures) == ["confusion_matrix", "curves"]
    for picture in pictures.values():
        assert picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) > 10000
    actual = {}
    (events,) = [name for name in os.listdir(arguments["train_dir"]) if name.startswith("events")]
    for event in tf.train.summary_iterator(os.path.join(arguments["train_dir"], events)):
        for value in event.summary.value:
            actual.setdefault(value.tag, []).append((event.step, value.simple_value or value.image))
    for name, picture in pictures.items():
        ((step, shown),) = actual.pop(name)
        assert step == 6 and shown.encoded_image_string == picture
        decoded = session.run(tf.image.decode_png(picture))
        assert (shown.height, shown.width, shown.colorspace) == decoded.shape
    assert sorted(actual) == (
        ["accuracy/test", "accuracy/train", "epoch", "global_step", "learning_rate"]
        + ["loss/test", "loss/train", "seconds"]
    )
    assert actual["global_step"] == [(3, 3.0), (6, 6.0)]
    losses = [row["test_loss"] for row in rows_of(arguments["train_dir"])]
    assert [value for _, value in actual["loss/test"]] == pytest.approx(losses, rel=1e-6)


@ONCE
def test_reported_numbers_are_means_over_all_examples(arguments, monkeypatch):
    """Batches of 5, 5 and 2 have the same means as one batch."""
    expected = run(arguments)
    monkeypatch.setattr(trainer, "EVALUATION_BATCH", 5)
    actual = run(arguments, train_dir=arguments["train_dir"] + "2")
    for name in ("train_accuracy", "test_accuracy"):
        assert actual[name] == pytest.approx(expected[name], abs=1e-9)
    losses = [[row["train_loss"] for row in rows_of(arguments["train_dir"] + end)] for end in ("", "2")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@ONCE
def test_few_checkpoints_are_kept(arguments):
    run(arguments, epochs="5")
    kept = [name for name in os.listdir(arguments["train_dir"]) if name.endswith(".index")]
    assert sorted(kept) == [f"model.ckpt-{step}.index" for step in (12, 15, 9)]


# Flags


@ONCE
@pytest.mark.parametrize(
    "flag, value, expected",
    [
        ("hidden_sizes", "5", lambda actual: actual["stacked_lstm/layer_1/Wf"].shape == (5 + 28, 5)),
        (
            "initial_state",
            "projected",
            lambda actual: actual["stacked_lstm/initial_state/layer_1/W_h"].shape == (28, 3),
        ),
        (
            "peer",
            "dynamic_rnn",
            lambda actual: any("multi_rnn_cell/cell_1/basic_lstm_cell/kernel" in x for x in actual),
        ),
        pytest.param(
            "peer",
            "keras",
            lambda actual: sum("lstm" in x and x.endswith("/recurrent_kernel") for x in actual) == 2,
            marks=WITH_TF_KERAS,
        ),
        ("epochs", "3", lambda actual: actual["global_step"] == 9),
        ("batch_size", "5", lambda actual: actual["global_step"] == 6),
        ("batch_size", "12", lambda actual: actual["global_step"] == 2),
        ("train_examples", "4", lambda actual: actual["global_step"] == 2),
    ],
)
def test_a_flag_decides_what_is_trained(arguments, flag, value, expected):
    run(arguments, **{flag: value})
    assert expected(weights(arguments["train_dir"]))


@ONCE
def test_a_flag_changes_the_numbers(arguments):
    actual = []
    for k, changes in enumerate([{}, {}, {"seed": "1"}, {"learning_rate": "0.01"}]):
        train_dir = arguments["train_dir"] + str(k)
        run(arguments, train_dir=train_dir, **changes)
        actual.append(weights(train_dir))
    assert_same(actual[0], actual[1])
    for changed in actual[2:]:
        name = "stacked_lstm/layer_1/Wf"
        assert not np.array_equal(actual[0][name], changed[name])


def test_learning_rate_is_adams(arguments):
    """Adam's first step moves every weight by the learning rate, if its gradient is not tiny."""
    run(arguments, epochs="1", batch_size="12", learning_rate="0.25")
    before, after = (weights(arguments["train_dir"], step) for step in (0, 1))
    assert np.max(np.abs(after["dense_1/b"] - before["dense_1/b"])) == pytest.approx(0.25, rel=1e-3)


def test_engine_is_asked_for_by_name(arguments, capsys):
    run(arguments, engine="graph", epochs="1")
    assert "engine graph (asked for by name)" in capsys.readouterr().out


def test_cudnn_without_a_gpu(arguments, monkeypatch):
    monkeypatch.setattr(compat, "gpu_visible", lambda: False)
    with pytest.raises(
        ValueError, match="engine native or graph where TensorFlow sees no GPU, got cudnn .asked for by"
    ):
        run(arguments, engine="cudnn")


def test_a_tasks_flag_names_its_task_and_a_default():
    values = flag_values({"task": "titles"})
    for name, task in TASKS.items():
        for option in task.OPTIONS:
            text = values[option.name].help
            assert f"With --task={name}: " in text
            assert f"(default: {str(option.default).lower()})" in text or not option.default
    for name in ("hidden_sizes", "epochs", "batch_size", "learning_rate", "initial_state", "weight_initializer"):
        for task in TASKS:
            value = TASKS[task].DEFAULTS[name]
            value = ",".join(map(str, value)) if isinstance(value, list) else value
            assert f"{value} for {task}" in values[name].help


def test_flags_that_a_checkpoint_depends_on():
    """Runs of earlier versions have these in their history.json."""
    common = ["task", "data_dir", "train_examples", "hidden_sizes", "initial_state", "weight_initializer", "engine"]
    common += ["peer", "batch_size", "learning_rate", "seed"]
    own = {"fashion_mnist": [], "forecast": ["loss_steps"], "titles": []}
    own["titles"] = ["vocabulary_size", "embedding_size", "pieces", "bidirectional", "weight_decay", "balance"]
    own["titles"] += ["piece_dropout", "pooled_dropout"]
    for task, names in own.items():
        assert sorted(settings.identity_flags(task)) == sorted(common + names + list(layer_options.TABLE))


@pytest.mark.parametrize(
    "changes, expected",
    [
        (
            {"task": "forecast"},
            {"hidden_sizes": [32, 32, 64], "initial_state": "projected", "train_dir": "runs/forecast"},
        ),
        (
            {"task": "fashion_mnist"},
            {"hidden_sizes": [256], "initial_state": "zeros", "train_dir": "runs/fashion_mnist"},
        ),
        (
            {"task": "forecast", "peer": "dynamic_rnn"},
            {"hidden_sizes": [32, 32, 64], "initial_state": "zeros", "train_dir": "runs/forecast-dynamic_rnn"},
        ),
        ({"task": "forecast", "hidden_sizes": "7,8"}, {"hidden_sizes": [7, 8], "data_dir": None, "seed": 0}),
    ],
)
def test_defaults_depend_on_the_task(changes, expected):
    chosen = settings.read_flags(flag_values(changes))
    assert {name: chosen[name] for name in expected} == expected


@pytest.mark.parametrize(
    "flag, value",
    [("epochs", "0"), ("batch_size", "-1"), ("train_examples", "0"), ("seed", "-1"), ("task", "other")]
    + [("learning_rate", value) for value in ("0", "-1", "nan", "inf", "x")]
    + [
        (flag, value)
        for flag in ("piece_dropout", "pooled_dropout", "weight_decay", "balance")
        for value in ("nan", "inf", "-1")
    ]
    + [("initial_state", "ones"), ("engine", "steam"), ("peer", "other")],
)
def test_bad_values_are_refused(flag, value):
    with pytest.raises(absl.flags.Error, match="--" + flag):
        flag_values(dict({"task": "forecast"}, **{flag: value}))


@pytest.mark.parametrize("flag", ["weight_decay", "piece_dropout"])
def test_saved_values_that_are_not_finite_are_refused(flag):
    saved = settings.read_flags(flag_values({"task": "titles"}))
    settings.check_saved_flags(saved)
    with pytest.raises(ValueError, match=f"--train_dir: expected the flags of a run in its history, got --{flag}=nan"):
        settings.check_saved_flags(dict(saved, **{flag: float("nan")}))


@pytest.mark.parametrize("value", ["", "3,", "0", "3,-1", "x"])
def test_bad_widths_are_refused(value):
    expected = "--hidden_sizes: expected positive integers, such as 32,32,64, got " + (value or "none")
    with pytest.raises(ValueError, match=f"^{expected}$"):
        settings.read_flags(flag_values({"task": "forecast", "hidden_sizes": value}))


@ONCE
@pytest.mark.parametrize("peer", peers.names("build"))
@pytest.mark.parametrize(
    "flag, value",
    [("initial_state", "projected"), ("initial_state", "learned"), ("engine", "graph"), ("weight_initializer", "dl")],
)
def test_the_peer_cannot_everything(arguments, flag, value, peer):
    with pytest.raises(ValueError, match=f"--{flag}: expected .* with --peer={peer}, got {value}"):
        run(arguments, peer=peer, **{flag: value})


@pytest.mark.parametrize("peer", [None, "dynamic_rnn", pytest.param("keras", marks=WITH_TF_KERAS)])
def test_the_last_output_is_that_at_each_sequences_end(peer, session):
    """For StackedLSTM and the peers; the sequences are also fed without their padding."""
    inputs = np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32)
    x, lengths = tf.placeholder(tf.float32, [None, None, 3]), tf.placeholder(tf.int32, [None])
    outputs, last = networks.Recurrent([4, 2], peer=peer)(x, lengths)
    session.run(tf.global_variables_initializer())
    both, every = session.run([last, outputs], {x: inputs, lengths: [5, 2]})
    for row, length in enumerate([5, 2]):
        np.testing.assert_array_equal(both[row], every[row, length - 1])
    for row, length in enumerate([5, 2]):
        alone = session.run(last, {x: inputs[row : row + 1, :length], lengths: [length]})
        assert relative_difference(both[row], alone[0]) < 1e-5


# Messages and exit statuses


def exit_of(capsys, arguments):
    """Returns (exit status, stderr's last line) of main."""
    with pytest.raises(SystemExit) as raised, command.one_line_errors("train.py"):
        train.main(flag_values(arguments))
    if isinstance(raised.value.code, str):  # Python prints it and exits with 1.
        return 1, raised.value.code
    return raised.value.code, capsys.readouterr().err.splitlines()[-1]


def test_errors_are_one_line(arguments, monkeypatch, capsys, tmp_path):
    status, line = exit_of(capsys, dict(arguments, data_dir=str(tmp_path)))
    assert status == 2 and line.startswith("train.py: --data_dir: expected Fashion-MNIST's")
    assert not os.path.exists(arguments["train_dir"])
    monkeypatch.setattr(trainer.Trainer, "_train", lambda self: self._stop("a reason"))
    status, line = exit_of(capsys, arguments)
    assert status == 1 and line.startswith("train.py: training stopped in epoch")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("train-images-idx3-ubyte.gz", b"no gzip", "expected a whole gzip file"),
        ("t10k-labels-idx1-ubyte.gz", None, "expected Fashion-MNIST's four .gz files"),
    ],
)
def test_errors_of_the_data_name_flag_and_file(arguments, capsys, name, content, message):
    path = os.path.join(arguments["data_dir"], name)
    os.remove(path)
    if content:
        with open(path, "wb") as file:
            file.write(content)
    status, line = exit_of(capsys, arguments)
    assert status == 2 and line.startswith("train.py: --data_dir: ") and name in line and message in line


def test_errors_of_the_results_name_flag_and_file(arguments, capsys, tmp_path):
    """The directory is a file, or in a file, or of another user: /proc takes no files."""
    (tmp_path / "file").write_bytes(b"")
    for train_dir in (str(tmp_path / "file"), str(tmp_path / "file" / "run"), "/proc/run"):
        status, line = exit_of(capsys, dict(arguments, train_dir=train_dir))
        expected = "to write" if train_dir == "/proc/run" else "a directory, or the name of a new one, got"
        assert status == 2 and line.startswith(f"train.py: --train_dir: expected {expected} {train_dir}"), line
    for changes in ({}, {"job_name": "evaluator"}):
        status, line = exit_of(capsys, dict(arguments, train_dir="", **changes))
        assert line == "train.py: --train_dir: expected a directory, or the name of a new one, got none"


def test_a_limit_of_the_file_size_is_one_line_and_the_run_goes_on(arguments, tmp_path):
    """TensorFlow's kernel meets a limit of the system, as on a full disk, in a process of its own."""
    program = (
        "import resource, sys\nfrom stacked_lstm.commands import command\nimport train\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        "command.run(train.define_flags, train.main)"
    )
    path = os.pathsep.join([SCRIPTS, os.path.dirname(SCRIPTS)])
    words = ["-c", program, *command_line(dict(arguments, hidden_sizes="40"))]
    process = programs.run(words, env=dict(os.environ, PYTHONPATH=path), cwd=tmp_path)
    errors = process.stderr.decode()
    assert process.returncode == 2, errors
    last = errors.splitlines()[-1]
    assert "--train_dir: expected to write " + arguments["train_dir"] in last and last.endswith("File too large"), last
    assert "Traceback" not in errors
    run(arguments, hidden_sizes="40")
    run(arguments, hidden_sizes="40", train_dir=arguments["train_dir"] + "2")
    assert_same(weights(arguments["train_dir"]), weights(arguments["train_dir"] + "2"))


def test_nothing_is_left_to_train(arguments, capsys):
    run(arguments)
    assert "nothing is left" not in capsys.readouterr().out
    run(arguments, epochs="1")
    assert "nothing is left to train with --epochs=1" in capsys.readouterr().out.splitlines()


def test_an_interrupted_run_says_how_it_goes_on(arguments, monkeypatch, capsys):
    def interrupt(self, on_batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, "train_epoch", interrupt)
    with pytest.raises(SystemExit) as raised, command.one_line_errors("train.py"):
        train.main(flag_values(arguments))
    lines = capsys.readouterr().err.splitlines()
    assert raised.value.code == 130
    assert lines[-2:] == [
        "The same command goes on from the last checkpoint, if there is one.",
        "train.py: interrupted",
    ]


@pytest.mark.parametrize("name", train.EXTRAS)
def test_a_missing_extra_names_it(arguments, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    status, line = exit_of(capsys, arguments)
    assert status == 2 and name in line and line.endswith('pip install -e ".[examples]"')


def test_from_a_shell(arguments, tmp_path):
    """In a process of its own, stdout ends with the JSON line, and the progress bar is on stderr."""
    words = [os.path.join(SCRIPTS, "train.py")] + command_line(arguments)
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(SCRIPTS))
    process = programs.run(words, env=environment, cwd=str(tmp_path))
    assert process.returncode == 0, process.stderr.decode()
    assert json.loads(process.stdout.decode().splitlines()[-1])["epoch"] == 2
    assert b"6/6" in process.stderr and b"6/6" not in process.stdout


# The tasks in earnest


def test_forecast_beats_the_seasonal_naive_forecast(arguments, capsys):
    """On the real temperatures, after one short epoch."""
    del arguments["data_dir"]
    changes = {"task": "forecast", "epochs": "1", "hidden_sizes": "16", "batch_size": "32", "learning_rate": "0.003"}
    result = run(arguments, **changes)
    assert sorted(result) == ["epoch", "seasonal_naive_mae", "seconds_per_epoch", "test_mae", "train_mae"]
    assert result["test_mae"] < 0.8 * result["seasonal_naive_mae"]
    assert "baseline: seasonal_naive_mae 0.1753" in capsys.readouterr().out


@ONCE
def test_training_learns(arguments):
    """The images are all different: they can be learnt by heart."""
    result = run(arguments, hidden_sizes="32", epochs="60", batch_size="6", learning_rate="0.01")
    assert result["train_accuracy"] == 1.0
