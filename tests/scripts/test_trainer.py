"""scripts/training/trainer.py: resuming and NaN. Tiny data, mostly in this process."""

import os
import signal

import numpy as np
import pytest

from stacked_lstm.compat import tf
from support.processes import programs
from support.suite.sets import ONCE
from support.training.task_data import write_temperatures
from support.training.tiny_runs import SCRIPTS, assert_same, command_line, files_of, rows_of, run, weights
from tasks import networks, temperature_series
from tasks.examples import Examples, epoch_batches
from training.distributed.replicas import Replicas
from training.pipeline import Pipeline
from training.run_files import history
from training.trainer import Trainer

# Resuming

KILLED = """
import os, signal, sys
import absl.flags, train
from training import trainer
from stacked_lstm.compat import tf

trainer.SAVE_SECONDS = 0
trained = trainer.Trainer._train
def train_or_die(self):
    if self.step == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return trained(self)
trainer.Trainer._train = train_or_die
tf.disable_v2_behavior()
values = absl.flags.FlagValues()
train.define_flags(values)
values(sys.argv[1:])
train.run(values)
"""


@ONCE
def test_a_killed_run_goes_on_to_the_very_same_weights(arguments, graph_optimizer):
    """Killed in the second epoch of three, at step 5 of 9."""
    path = os.pathsep.join([SCRIPTS, os.path.dirname(SCRIPTS)])
    killed = dict(arguments, epochs="3", train_dir=arguments["train_dir"] + "-killed")
    words = ["-c", KILLED, "5", *command_line(killed)]
    process = programs.run(words, env=dict(os.environ, PYTHONPATH=path))
    assert process.returncode == -signal.SIGKILL
    assert weights(killed["train_dir"])["global_step"] == 5
    assert len(rows_of(killed["train_dir"])) == 1
    run(killed)
    run(arguments, epochs="3")
    assert_same(weights(killed["train_dir"]), weights(arguments["train_dir"]))
    assert rows_of(killed["train_dir"]) == rows_of(arguments["train_dir"])


@ONCE
def test_a_run_killed_between_history_and_checkpoint_repeats_the_epoch(arguments, monkeypatch):
    class KilledError(Exception):
        pass

    def save_or_die(trainer):
        if trainer.step:
            raise KilledError
        return saved(trainer)

    saved = Trainer.save
    monkeypatch.setattr(Trainer, "save", save_or_die)
    with pytest.raises(KilledError):
        run(arguments)
    assert len(rows_of(arguments["train_dir"])) == 1
    monkeypatch.undo()
    run(arguments)
    assert [row["epoch"] for row in rows_of(arguments["train_dir"])] == [1, 2]


@ONCE
def test_a_finished_run_prints_its_numbers_again_without_training(arguments, capsys, monkeypatch):
    run(arguments)
    first = capsys.readouterr().out.splitlines()[-1]
    before = weights(arguments["train_dir"])
    monkeypatch.delattr(Trainer, "_train")
    run(arguments)
    assert capsys.readouterr().out.splitlines()[-1] == first
    assert_same(weights(arguments["train_dir"]), before)


@ONCE
def test_more_epochs_train_a_finished_run_on(arguments):
    run(arguments)
    run(arguments, epochs="3")
    run(arguments, epochs="3", train_dir=arguments["train_dir"] + "2")
    assert_same(weights(arguments["train_dir"]), weights(arguments["train_dir"] + "2"))


@ONCE
def test_another_configuration_is_refused_and_nothing_overwritten(arguments):
    run(arguments, epochs="1")
    before = dict(files_of(arguments["train_dir"]), lock=None)
    for flag, value, saved in (
        ("hidden_sizes", "9", "--hidden_sizes=3,2"),
        ("seed", "3", "--seed=0"),
        ("batch_size", "2", "--batch_size=4"),
        ("learning_rate", "0.5", "--learning_rate=0.001"),
        ("peer", "dynamic_rnn", "no --peer"),
        ("train_examples", "6", "no --train_examples"),
        ("task", "forecast", "--task=fashion_mnist"),
    ):
        with pytest.raises(ValueError, match=f"--train_dir: .*--{flag}={value}.*, got .* of a run with .*{saved}"):
            run(arguments, **{flag: value})
    assert dict(files_of(arguments["train_dir"]), lock=None) == before


@ONCE
def test_checkpoints_of_nobody_and_damaged_ones_are_refused(arguments):
    run(arguments, epochs="1")
    directory = arguments["train_dir"]
    for step in (0, 3):
        os.remove(os.path.join(directory, f"model.ckpt-{step}.data-00000-of-00001"))
    whole = r"model.ckpt-3: expected a whole checkpoint of this network \(.*model.ckpt-3.*\)"
    with pytest.raises(ValueError, match=f"^--train_dir: .*{whole}; .*: to start anew, delete "):
        run(arguments)
    os.remove(os.path.join(directory, history.FILE))
    with pytest.raises(ValueError, match="--train_dir: expected history.json"):
        run(arguments)


def trainer_of(losses_of, examples, directory, **options):
    """A trainer of batches of two, whose network has the losses and scores `losses_of(x)` for x [B]."""
    pipeline = Pipeline(examples, 2, 0)
    feeds = networks.inputs({"x": (tf.float32, [None])}, pipeline.parts[0].batch)
    losses = losses_of(feeds["x"])
    network = networks.Network(feeds, losses, losses, losses)
    return Trainer(Replicas([network], pipeline), 0.1, str(directory), **options)


def one_weight(losses_of):
    """Losses `losses_of(w, x)` with one variable, `w`, at 0."""
    return lambda x: losses_of(tf.get_variable("w", [], initializer=tf.zeros_initializer()), x)


def test_seconds_of_a_resumed_epoch_are_those_of_a_whole_one(tmp_path, monkeypatch):
    """Each batch takes 5 s on a stand-in clock: an epoch of 4 has 20 s, even if the run trained only one of them."""
    now = [0.0]
    monkeypatch.setattr("training.trainer.time.monotonic", lambda: now[0])
    examples = Examples(x=np.ones([8], np.float32))
    trainer = trainer_of(one_weight(lambda w, x: w * x), examples, tmp_path)

    def on_batch(loss):
        now[0] += 5

    assert trainer.train_epoch(on_batch) == 20
    trainer.step += 3
    assert trainer.train_epoch(on_batch) == 20
    assert now[0] == 25


def test_weight_decay_by_hand(tmp_path, session):
    """The gradient is 0, so that Adam changes nothing: a matrix loses 0.1 * 0.5 of itself, a vector nothing."""
    matrix = tf.get_variable("matrix", initializer=np.full([2, 3], 2, np.float32))
    vector = tf.get_variable("vector", initializer=np.full([3], 2, np.float32))
    total, examples = tf.reduce_sum(matrix) + tf.reduce_sum(vector), Examples(x=np.ones([2], np.float32))
    trainer = trainer_of(lambda x: x * 0 * total, examples, tmp_path, weight_decay=0.5)
    trainer.train_epoch(lambda loss: None)
    trainer.save()
    np.testing.assert_allclose(weights(str(tmp_path))["matrix"], np.full([2, 3], 2 * 0.95), rtol=1e-6)
    np.testing.assert_array_equal(weights(str(tmp_path))["vector"], [2, 2, 2])


# NaN


def test_nan_in_the_data_stops_training_and_the_last_good_checkpoint_stays(arguments, tmp_path, monkeypatch):
    """Hour 290 is NaN; window i sees hours i to i + 95, so the windows 195 to 290 have NaN. No file can have NaN."""
    monkeypatch.setattr("training.trainer.SAVE_SECONDS", -1)  # A checkpoint before every step.
    temperatures = 50 + 10 * np.sin(np.arange(600.0))
    write_temperatures(tmp_path, temperatures)
    with_nan = np.where(np.arange(600) == 290, np.nan, temperatures)
    scales = temperature_series.Scales.measure(temperature_series.Series(0, temperatures[:480]))
    monkeypatch.setattr(temperature_series, "read", lambda path: temperature_series.Series(0, with_nan))
    monkeypatch.setattr(temperature_series.Scales, "measure", lambda series: scales)
    examples = Examples(x=np.arange(480 - 96 + 1))
    spoilt = [np.any((195 <= rows) & (rows <= 290)) for rows in epoch_batches(examples, 2, seed=1, epoch=0)]
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
        (lambda w, x: w * x + tf.log(x - 1), r"step 1: the loss is -inf \(a smaller --learning_rate may help\); "),
    ],
)
def test_nothing_that_is_not_finite_is_saved(tmp_path, losses_of, message):
    examples = Examples(x=np.ones([2], np.float32))
    trainer = trainer_of(one_weight(losses_of), examples, tmp_path)
    with pytest.raises(FloatingPointError, match="epoch 1, after .*" + message + ".*model.ckpt-0$"):
        trainer.train_epoch(lambda loss: None)
        trainer.save()
    assert weights(str(tmp_path))["global_step"] == 0


def test_evaluation_that_is_not_finite_stops_the_run(tmp_path):
    ones, nan = (Examples(x=np.array([1, value], np.float32)) for value in (1, np.nan))
    trainer = trainer_of(one_weight(lambda w, x: w * x), ones, tmp_path)
    assert trainer.evaluate(ones) == (0.0, 0.0)
    with pytest.raises(FloatingPointError, match="the mean loss of an evaluation is nan"):
        trainer.evaluate(nan)
