"""scripts/train.py: flags, resuming, NaN, and what a run leaves behind. Tiny data, mostly in this process."""

import json
import os
import signal
import subprocess
import sys

import absl.flags
import numpy as np
import pytest
import train
from test_tasks import write_images, write_temperatures

import curves
import networks
import training
from stacked_lstm.compat import tf

SCRIPTS = os.path.dirname(os.path.abspath(train.__file__))
IMAGES = {"train": 12, "test": 5}


@pytest.fixture
def arguments(tmp_path):
    """Of a run of 2 epochs of 3 batches, in `tmp_path`."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    write_images(data_dir, IMAGES)
    return {
        "task": "fashion_mnist",
        "data_dir": str(data_dir),
        "train_dir": str(tmp_path / "run"),
        "hidden_sizes": "3,2",
        "epochs": "2",
        "batch_size": "4",
    }


def command_line(arguments):
    return ["--%s=%s" % argument for argument in sorted(arguments.items())]


def flag_values(arguments):
    values = absl.flags.FlagValues()
    train.define_flags(values)
    values(["train.py"] + command_line(arguments))
    return values


def run(arguments, **changes):
    return train.run(flag_values(dict(arguments, **changes)))


def weights(train_dir, step=None):
    """name -> value of everything in the last checkpoint, or in that of a step."""
    path = tf.train.latest_checkpoint(train_dir) if step is None else os.path.join(train_dir, "model.ckpt-%d" % step)
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def rows_of(train_dir):
    """The history's rows without their times."""
    with open(os.path.join(train_dir, curves.FILE)) as file:
        rows = json.load(file)["epochs"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def files_of(directory):
    return {name: open(os.path.join(directory, name), "rb").read() for name in sorted(os.listdir(directory))}


# What a run leaves behind


def test_a_run_ends_with_its_numbers_as_json(arguments, capsys):
    run(arguments)
    *lines, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    assert sorted(result) == ["epoch", "seconds_per_epoch", "test_accuracy", "train_accuracy"]
    assert result["epoch"] == 2 and result["seconds_per_epoch"] > 0
    assert result["train_accuracy"] * 12 == pytest.approx(round(result["train_accuracy"] * 12), abs=1e-4)
    assert lines[0] == "fashion_mnist: 12 training and 5 test examples"
    assert len([line for line in lines if line.startswith("network: StackedLSTM [3, 2], engine ")]) == 1
    assert [line.split(",")[0] for line in lines if line.startswith("epoch")] == ["epoch  1", "epoch  2"]


def test_a_run_leaves_a_picture_and_scalars_for_tensorboard(arguments):
    run(arguments)
    picture = files_of(arguments["train_dir"])[curves.PICTURE]
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) > 10000
    found = {}
    (events,) = [name for name in os.listdir(arguments["train_dir"]) if name.startswith("events")]
    for event in tf.train.summary_iterator(os.path.join(arguments["train_dir"], events)):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert sorted(found) == (
        ["epoch", "global_step", "learning_rate", "seconds"]
        + ["test_accuracy", "test_loss", "train_accuracy", "train_loss"]
    )
    assert found["global_step"] == [(3, 3.0), (6, 6.0)]
    losses = [row["test_loss"] for row in rows_of(arguments["train_dir"])]
    assert [value for _, value in found["test_loss"]] == pytest.approx(losses, rel=1e-6)


def test_reported_numbers_are_means_over_all_examples(arguments, monkeypatch):
    """Evaluated in batches of 5, 5 and 2, as in one."""
    expected = run(arguments)
    monkeypatch.setattr(training, "EVALUATION_BATCH", 5)
    found = run(arguments, train_dir=arguments["train_dir"] + "2")
    for name in ("train_accuracy", "test_accuracy"):
        assert found[name] == pytest.approx(expected[name], abs=1e-9)
    losses = [[row["train_loss"] for row in rows_of(arguments["train_dir"] + end)] for end in ("", "2")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_few_checkpoints_are_kept(arguments):
    run(arguments, epochs="5")
    kept = [name for name in os.listdir(arguments["train_dir"]) if name.endswith(".index")]
    assert sorted(kept) == ["model.ckpt-%d.index" % step for step in (12, 15, 9)]


# Flags


@pytest.mark.parametrize(
    "flag, value, expected",
    [
        ("hidden_sizes", "5", lambda found: found["stacked_lstm/layer_1/Wf"].shape == (5 + 28, 5)),
        ("initial_state", "projected", lambda found: found["stacked_lstm/initial_state/layer_1/W_h"].shape == (28, 3)),
        ("peer", "dynamic_rnn", lambda found: any("multi_rnn_cell/cell_1/basic_lstm_cell/kernel" in x for x in found)),
        ("epochs", "3", lambda found: found["global_step"] == 9),
        ("batch_size", "5", lambda found: found["global_step"] == 6),
        ("batch_size", "12", lambda found: found["global_step"] == 2),
        ("train_examples", "4", lambda found: found["global_step"] == 2),
    ],
)
def test_a_flag_decides_what_is_trained(arguments, flag, value, expected):
    run(arguments, **{flag: value})
    assert expected(weights(arguments["train_dir"]))


@pytest.mark.parametrize("flag, value", [("seed", "1"), ("learning_rate", "0.01")])
def test_a_flag_changes_the_numbers(arguments, flag, value):
    found = []
    for k, changes in enumerate([{}, {}, {flag: value}]):
        train_dir = arguments["train_dir"] + str(k)
        run(arguments, train_dir=train_dir, **changes)
        found.append(weights(train_dir))
    assert_same(found[0], found[1])
    name = "stacked_lstm/layer_1/Wf"
    assert not np.array_equal(found[0][name], found[2][name])


def test_learning_rate_is_adams(arguments):
    """Adam's first step moves every weight by the learning rate, if its gradient is not tiny."""
    run(arguments, epochs="1", batch_size="12", learning_rate="0.25")
    before, after = (weights(arguments["train_dir"], step) for step in (0, 1))
    assert np.max(np.abs(after["dense_1/b"] - before["dense_1/b"])) == pytest.approx(0.25, rel=1e-3)


def test_engine_is_asked_for_by_name(arguments, capsys):
    run(arguments, engine="graph", epochs="1")
    assert "engine graph (asked for by name)" in capsys.readouterr().out


def test_every_flag_is_in_the_table_at_the_top():
    for _, name, _, _, _ in train.FLAGS:
        assert "--%s" % name in train.__doc__
    assert set(train.IDENTITY) < {name for _, name, _, _, _ in train.FLAGS}


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
    settings = train.settings_of(flag_values(changes))
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize(
    "flag, value",
    [("epochs", "0"), ("batch_size", "-1"), ("train_examples", "0"), ("seed", "-1"), ("task", "other")]
    + [("hidden_sizes", value) for value in ("", "3,", "0", "3,-1", "x")]
    + [("learning_rate", value) for value in ("0", "-1", "nan", "inf", "x")]
    + [("initial_state", "ones"), ("engine", "steam"), ("peer", "keras")],
)
def test_bad_values_are_refused(flag, value):
    with pytest.raises(absl.flags.Error, match="--" + flag):
        flag_values(dict({"task": "forecast"}, **{flag: value}))


@pytest.mark.parametrize(
    "flag, value", [("initial_state", "projected"), ("initial_state", "learned"), ("engine", "graph")]
)
def test_the_peer_cannot_everything(arguments, flag, value):
    with pytest.raises(ValueError, match="--%s: expected .* with --peer=dynamic_rnn, got %s" % (flag, value)):
        run(arguments, peer="dynamic_rnn", **{flag: value})


def test_the_last_output_is_that_at_each_sequences_end():
    """Ours and the peer's, by feeding the sequences cut off."""
    inputs = np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32)
    for peer in (None, "dynamic_rnn"):
        with tf.Graph().as_default(), tf.Session() as session:
            x, lengths = tf.placeholder(tf.float32, [None, None, 3]), tf.placeholder(tf.int32, [None])
            last = networks.Recurrent([4, 2], peer=peer)(x, lengths)
            session.run(tf.global_variables_initializer())
            both = session.run(last, {x: inputs, lengths: [5, 2]})
            for row, length in enumerate([5, 2]):
                alone = session.run(last, {x: inputs[row : row + 1, :length], lengths: [length]})
                np.testing.assert_allclose(both[row], alone[0], rtol=1e-5)


# Resuming

KILLED = """
import os, signal, sys
import absl.flags, train, training
from stacked_lstm.compat import tf

training.SAVE_SECONDS = 0
trained = training.Trainer._train
def train_or_die(trainer, arrays):
    if trainer.step == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return trained(trainer, arrays)
training.Trainer._train = train_or_die
tf.disable_v2_behavior()
values = absl.flags.FlagValues()
train.define_flags(values)
values(sys.argv[1:])
train.run(values)
"""


def test_a_killed_run_goes_on_to_the_very_same_weights(arguments):
    """Killed in the second epoch of three, at step 5 of 9."""
    path = os.pathsep.join([SCRIPTS, os.path.dirname(SCRIPTS)])
    killed = dict(arguments, epochs="3", train_dir=arguments["train_dir"] + "-killed")
    process = subprocess.run(
        [sys.executable, "-c", KILLED, "5"] + command_line(killed), env=dict(os.environ, PYTHONPATH=path), check=False
    )
    assert process.returncode == -signal.SIGKILL
    assert weights(killed["train_dir"])["global_step"] == 5
    assert len(rows_of(killed["train_dir"])) == 1
    run(killed)
    run(arguments, epochs="3")
    assert_same(weights(killed["train_dir"]), weights(arguments["train_dir"]))
    assert rows_of(killed["train_dir"]) == rows_of(arguments["train_dir"])


def test_a_run_killed_between_history_and_checkpoint_repeats_the_epoch(arguments, monkeypatch):
    class KilledError(Exception):
        pass

    def save_or_die(trainer):
        if trainer.step:
            raise KilledError
        return saved(trainer)

    saved = training.Trainer.save
    monkeypatch.setattr(training.Trainer, "save", save_or_die)
    with pytest.raises(KilledError):
        run(arguments)
    assert len(rows_of(arguments["train_dir"])) == 1
    monkeypatch.undo()
    run(arguments)
    assert [row["epoch"] for row in rows_of(arguments["train_dir"])] == [1, 2]


def test_a_finished_run_prints_its_numbers_again_without_training(arguments, capsys, monkeypatch):
    run(arguments)
    first = capsys.readouterr().out.splitlines()[-1]
    before = weights(arguments["train_dir"])
    monkeypatch.delattr(training.Trainer, "_train")
    run(arguments)
    assert capsys.readouterr().out.splitlines()[-1] == first
    assert_same(weights(arguments["train_dir"]), before)


def test_more_epochs_train_a_finished_run_on(arguments):
    run(arguments)
    run(arguments, epochs="3")
    run(arguments, epochs="3", train_dir=arguments["train_dir"] + "2")
    assert_same(weights(arguments["train_dir"]), weights(arguments["train_dir"] + "2"))


def test_another_configuration_is_refused_and_nothing_overwritten(arguments):
    run(arguments, epochs="1")
    before = files_of(arguments["train_dir"])
    for flag, value, message in (
        ("hidden_sizes", "9", "--hidden_sizes=3,2, not 9"),
        ("seed", "3", "--seed=0, not 3"),
        ("batch_size", "2", "--batch_size=4, not 2"),
        ("learning_rate", "0.5", "--learning_rate=0.001, not 0.5"),
        ("peer", "dynamic_rnn", "--peer=None, not dynamic_rnn"),
        ("train_examples", "6", "--train_examples=None, not 6"),
        ("task", "forecast", "--task=fashion_mnist, not forecast"),
    ):
        with pytest.raises(ValueError, match="--train_dir: .*" + message):
            run(arguments, **{flag: value})
    assert files_of(arguments["train_dir"]) == before


def test_checkpoints_of_nobody_and_damaged_ones_are_refused(arguments):
    run(arguments, epochs="1")
    directory = arguments["train_dir"]
    data = os.path.join(directory, "model.ckpt-3.data-00000-of-00001")
    os.remove(data)
    with pytest.raises(ValueError, match="--train_dir: expected a whole checkpoint at .*model.ckpt-3"):
        run(arguments)
    os.remove(os.path.join(directory, curves.FILE))
    with pytest.raises(ValueError, match="--train_dir: expected history.json"):
        run(arguments)


def test_batches_of_an_epoch_depend_on_seed_and_epoch_only():
    examples = training.Examples(x=np.arange(10) * 2)
    batches = [np.concatenate(training.epoch_batches(examples, 4, *key)) for key in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert batches[0].tolist() == batches[1].tolist()
    assert len({tuple(batch) for batch in batches}) == 3
    for batch in batches:
        assert sorted(batch) == list(range(10))
    sizes = [len(batch) for batch in training.epoch_batches(examples, 4, 0, 0)]
    assert sizes == [4, 4, 2]
    assert examples.feed(np.array([3, 1]))["x"].tolist() == [6, 2]


def one_weight(losses_of):
    """A network of one variable, `w`, at 0: losses and scores are `losses_of(w, x)` for x [B]."""
    x = tf.placeholder(tf.float32, [None])
    losses = losses_of(tf.get_variable("w", [], initializer=tf.zeros_initializer()), x)
    return networks.Network({"x": x}, losses, losses)


def test_seconds_of_a_resumed_epoch_are_those_of_a_whole_one(tmp_path, monkeypatch):
    """A clock that only batches move, by 5 s each: 4 batches are 20 s, whether the run saw 4 of them or 1."""
    now = [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    examples = training.Examples(x=np.ones([8], np.float32))
    trainer = training.Trainer(one_weight(lambda w, x: w * x), examples, 2, 0.1, 0, str(tmp_path))

    def on_batch(loss):
        now[0] += 5

    assert trainer.train_epoch(on_batch) == 20
    trainer.step += 3
    assert trainer.train_epoch(on_batch) == 20
    assert now[0] == 25


# NaN


def test_nan_in_the_data_stops_training_and_the_last_good_checkpoint_stays(arguments, tmp_path, monkeypatch):
    """Hour 290 is not a number; window i sees hours i to i + 95, so 195 to 290 are spoilt."""
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)  # A checkpoint before every step.
    temperatures = 50 + 10 * np.sin(np.arange(600.0))
    temperatures[290] = np.nan
    write_temperatures(tmp_path, temperatures)
    examples = training.Examples(x=np.arange(480 - 96 + 1))
    spoilt = [np.any((195 <= rows) & (rows <= 290)) for rows in training.epoch_batches(examples, 2, seed=1, epoch=0)]
    step = spoilt.index(True) + 1
    assert step > 1, "choose another seed"
    message = "stopped in epoch 1, after step %d: the loss is nan, .*changes hold.*inputs hold.* is .*model.ckpt-%d$"
    with pytest.raises(FloatingPointError, match=message % (step, step - 1)):
        run(arguments, task="forecast", data_dir=str(tmp_path), batch_size="2", seed="1")
    good = weights(arguments["train_dir"])
    assert good["global_step"] == step - 1
    assert all(np.all(np.isfinite(value)) for value in good.values())
    assert rows_of(arguments["train_dir"]) == []


@pytest.mark.parametrize(
    "losses_of, message",
    [
        # The gradient of the square root at 0 is infinite, its value is not.
        (lambda w, x: tf.sqrt(w) * x, "the loss is finite, but not .*w"),
        (lambda w, x: w * x + tf.log(x - 1), "step 1: the loss is -inf; "),
    ],
)
def test_nothing_that_is_not_finite_is_saved(tmp_path, losses_of, message):
    examples = training.Examples(x=np.ones([2], np.float32))
    trainer = training.Trainer(one_weight(losses_of), examples, 2, 0.1, 0, str(tmp_path))
    with pytest.raises(FloatingPointError, match="epoch 1, after .*" + message + ".*model.ckpt-0$"):
        trainer.train_epoch(lambda loss: None)
        trainer.save()
    assert weights(str(tmp_path))["global_step"] == 0


def test_evaluation_that_is_not_finite_stops_the_run(tmp_path):
    ones, nan = (training.Examples(x=np.array([1, value], np.float32)) for value in (1, np.nan))
    trainer = training.Trainer(one_weight(lambda w, x: w * x), ones, 2, 0.1, 0, str(tmp_path))
    assert trainer.evaluate(ones) == (0.0, 0.0)
    with pytest.raises(FloatingPointError, match="the mean loss of an evaluation is nan"):
        trainer.evaluate(nan)


# Messages and exit statuses


def exit_of(monkeypatch, capsys, arguments, argv=()):
    """(status, stderr's last line) of main."""
    monkeypatch.setattr(absl.flags, "FLAGS", flag_values(arguments))
    with pytest.raises(SystemExit) as raised:
        train.main(["train.py"] + list(argv))
    return raised.value.code, capsys.readouterr().err.splitlines()[-1]


def test_errors_are_one_line(arguments, monkeypatch, capsys, tmp_path):
    status, line = exit_of(monkeypatch, capsys, dict(arguments, data_dir=str(tmp_path)))
    assert status == 2 and line.startswith("train.py: --data_dir: expected Fashion-MNIST's")
    assert not os.path.exists(arguments["train_dir"])
    status, line = exit_of(monkeypatch, capsys, arguments, ["forecast"])
    assert (status, line) == (2, "train.py: expected flags only, got forecast")
    monkeypatch.setattr(training.Trainer, "_train", lambda trainer, arrays: trainer._stop("a reason"))
    status, line = exit_of(monkeypatch, capsys, arguments)
    assert status == 1 and line.startswith("train.py: training stopped in epoch")


@pytest.mark.parametrize("name", train.EXTRAS)
def test_a_missing_extra_names_it(arguments, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    status, line = exit_of(monkeypatch, capsys, arguments)
    assert status == 2 and name in line and line.endswith("pip install stacked_lstm[examples]")


def test_from_a_shell(arguments, tmp_path):
    """Runs as people do: stdout ends with the JSON line, the bar is on stderr."""
    command = [sys.executable, os.path.join(SCRIPTS, "train.py")] + command_line(arguments)
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(SCRIPTS))
    process = subprocess.run(command, env=environment, cwd=str(tmp_path), capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout.splitlines()[-1])["epoch"] == 2
    assert "6/6" in process.stderr and "6/6" not in process.stdout


# The tasks in earnest


def test_forecast_beats_the_seasonal_naive_forecast(arguments, capsys):
    """On the real temperatures, after one short epoch."""
    del arguments["data_dir"]
    changes = {"task": "forecast", "epochs": "1", "hidden_sizes": "16", "batch_size": "32", "learning_rate": "0.003"}
    result = run(arguments, **changes)
    assert sorted(result) == ["epoch", "seasonal_naive_mae", "seconds_per_epoch", "test_mae", "train_mae"]
    assert result["test_mae"] < 0.8 * result["seasonal_naive_mae"]
    assert "baseline: seasonal_naive_mae 0.1753" in capsys.readouterr().out


def test_training_learns(arguments):
    """The images are all different: they can be learnt by heart."""
    result = run(arguments, hidden_sizes="32", epochs="60", batch_size="6", learning_rate="0.01")
    assert result["train_accuracy"] == 1.0
