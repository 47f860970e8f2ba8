"""One run: data, a network, its training and its results; and the way back to a trained network."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, Mapping, NamedTuple

import numpy as np

import peers
from shared import file_errors, layer_options, pictures
from shared.options import format_value
from stacked_lstm.commands import charts, output_files
from stacked_lstm.compat import tf
from tasks import TASKS, networks
from tasks.task import PARTS, Task
from training import summaries
from training.distributed import replicas
from training.run_files import checkpoints, history, lock
from training.settings import check_saved_flags, identity_flags
from training.trainer import CHECKPOINTS_KEPT, Trainer, evaluate

CURVES = "curves"


class Outcome(NamedTuple):
    """The results of a run.

    Fields:
      final: name -> number, what `train.py` prints last.
      task: the task, with its data.
      predictions: the network's predictions for the task's test examples, at the best epoch.
    """

    final: Mapping[str, float]
    task: Task
    predictions: np.ndarray


def recurrent_layers(settings: Mapping[str, Any], **changes: Any) -> networks.Recurrent:
    """Makes the `networks.Recurrent` that the settings, flag -> value, ask for; `changes` are arguments of it."""
    names = ("hidden_sizes", "peer", "seed") + tuple(peers.SETTINGS)
    return networks.Recurrent(**dict({name: settings[name] for name in names}, **changes))


def run(settings, make_trainer=Trainer, device=None, split=None):
    """Trains, or goes on training, and writes everything to --train_dir.

    Args:
      settings: flag -> value.
      make_trainer: a function with the arguments of `trainer.Trainer` that returns one.
      device: the device of the network, as for `tf.device`; None for TensorFlow's choice.
      split: what this process takes of the batches, see `replicas.build`.

    Returns:
      `Outcome`.

    Raises:
      ValueError, OSError, ImportError: the flags, the data or the environment do not allow it; one line says why.
      FloatingPointError: training met NaN or infinity, see `trainer.Trainer`.
    """
    train_dir = settings["train_dir"]
    output_files.check_folder_name("train_dir", train_dir)
    recurrent = recurrent_layers(settings)
    with contextlib.ExitStack() as locks:
        is_new = not os.path.isdir(train_dir)
        if not is_new:
            locks.enter_context(lock.hold(train_dir))
        past = open_history(settings)
        task = TASKS[settings["task"]](settings)
        prepare(task, past)
        describe(task, settings)
        with tf.Graph().as_default(), tf.device(device):
            tf.set_random_seed(settings["seed"])
            copies = replicas.build(task, recurrent, settings, split)
            print(f"network: {recurrent.description}")
            print(f"results: {train_dir}", flush=True)
            if is_new:  # Bad data leave no directory.
                locks.enter_context(lock.hold(train_dir))
                past = open_history(settings)  # Another run may have begun and ended meanwhile.
            past.create()
            task.save()
            summaries.write_projector(train_dir, task.embeddings())
            predictions = train_and_draw(copies, task, past, settings, make_trainer)
    final = dict(past.summary(task.METRIC), **dict(task.baselines, **task.test_scores(predictions)))
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return Outcome(final, task, predictions)


def open_history(settings):
    """Returns the `history.History` of a run, which is empty for a new run. Raises ValueError as that does."""
    flags = {name: settings[name] for name in identity_flags(settings["task"])}
    return history.History(settings["train_dir"], flags)


def prepare(task, past):
    """Reads a task's data, and what a run with checkpoints has saved of the task.

    Raises:
      ValueError: the run has lost its checkpoints, or its history is damaged.
      ValueError, OSError, ImportError: the data do not allow a run.
    """
    train_dir = task.settings["train_dir"]
    if checkpoints.candidates(train_dir):
        task.restore()
    elif past.rows:
        raise ValueError(
            f"--train_dir: expected the checkpoints of a run with {len(past.rows)} epochs in {train_dir}, found none; "
            f"{checkpoints.start_anew(train_dir)}"
        )
    read_data(task)
    past.check_rows([f"{part}_{name}" for part in task.parts() for name in ("loss", task.METRIC)])


def read_data(task):
    """Reads a task's data. Raises what `Task.read` raises, with the flag that names the data."""
    with file_errors.named("--data_dir", task.settings["data_dir"] or "the data"):
        task.read()


def train_and_draw(copies, task, past, settings, make_trainer):
    """Trains to the end, and writes everything; returns the predictions for the test examples at the best epoch."""
    train_dir = settings["train_dir"]
    kept = CHECKPOINTS_KEPT if task.validation is None else 1  # Besides the best one.
    decay = settings.get("weight_decay", 0)
    with contextlib.closing(make_trainer(copies, settings["learning_rate"], train_dir, kept, decay)) as trainer:
        if trainer.note:
            print(trainer.note)
        past.forget_after(trainer.step)
        if past.rows:
            trainer.keep_best(past.best()["global_step"])
        fit(trainer, task, past, settings)
        predictions = trainer.predict(task, find_checkpoint(train_dir))
        trainer.show(draw(task, past, predictions, settings))
    return predictions


def describe(task, settings):
    """Prints the sizes of the data's parts, the task's notes and its baselines."""
    counts = [f"{len(part)} {'training' if name == 'train' else name}" for name, part in task.parts().items()]
    print(f"{settings['task']}: {' and '.join([', '.join(counts[:-1]), counts[-1]])} examples")
    for note in task.notes:
        print(note)
    for name, score in task.baselines.items():
        print(f"baseline: {name} {score:.4f}")


def fit(trainer, task, past, settings):
    """Trains to the end of the last epoch, or until --patience epochs have not made the validation loss smaller.

    Each epoch is a row of the history and a line on stdout; a progress bar is on stderr.

    Args:
      trainer: `trainer.Trainer`.
      task: the task, with its data.
      past: the run's `history.History`.
      settings: flag -> value.
    """
    import tqdm

    if trainer.step:
        epochs_done = trainer.step / float(trainer.steps_per_epoch)
        print(f"going on from {trainer.last_checkpoint}, {epochs_done:.2f} epochs done", flush=True)
    total = settings["epochs"] * trainer.steps_per_epoch
    if trainer.step >= total:
        print(f"nothing is left to train with --epochs={settings['epochs']}", flush=True)
    pause = 0.1 if sys.stderr.isatty() else 10  # Seconds; a log file does not need every step.
    with tqdm.tqdm(total=total, initial=trainer.step, unit="step", mininterval=pause) as bar:

        def on_batch(loss):
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update()

        for epoch in range(len(past.rows) + 1, settings["epochs"] + 1):
            if past.epochs_since_best() >= settings.get("patience", float("inf")):
                bar.write(f"stopped: no lower validation loss since epoch {past.best()['epoch']}")
                break
            bar.set_description(f"epoch {epoch}")
            row = {"epoch": epoch, "seconds": trainer.train_epoch(on_batch), "global_step": trainer.step}
            row["learning_rate"] = settings["learning_rate"]
            for part, examples in task.parts().items():
                row[part + "_loss"], row[f"{part}_{task.METRIC}"] = trainer.evaluate(examples)
            better = past.is_better(row)
            if better:
                trainer.save_best()  # Before the row that calls it the best; the previous best goes after both.
            past.add(row)
            trainer.summarize(row)
            trainer.save()
            if better:
                trainer.keep_best(trainer.step)
            bar.write(epoch_line(row, task.METRIC))


def epoch_line(row, metric):
    """A row of the history for people."""
    return f"epoch {row['epoch']:2}, {row['seconds']:.1f} s | {scores_line(row, metric)}"


def scores_line(row, metric):
    """The losses and scores of a row for people."""
    parts = [part for part in PARTS if part + "_loss" in row]
    return " | ".join(f"{part} loss {row[part + '_loss']:.4f} {metric} {row[f'{part}_{metric}']:.4f}" for part in parts)


def draw(task, past, predictions, settings):
    """Writes the pictures of a run to its directory; returns name -> path."""
    title = f"{settings['task']}, {settings['peer'] or 'StackedLSTM'} {format_value(settings['hidden_sizes'])}"
    best = past.best()
    kept = None if best is past.rows[-1] else best["epoch"]
    curves_title = f"{title}: loss and {task.METRIC} after each epoch"
    figures = {
        CURVES: pictures.curves(
            curves_title, past.rows, task.parts(), task.METRIC, task.METRIC_LABEL, task.baselines, kept
        )
    }
    score = best[f"test_{task.METRIC}"]
    figures.update(task.pictures(f"{title}: test part, epoch {best['epoch']}, {task.METRIC} {score:.4f}", predictions))
    return save_pictures(settings["train_dir"], figures)


def save_pictures(directory, figures):
    """Writes name -> figure as PNG files; returns name -> path."""
    paths = {name: os.path.join(directory, name + ".png") for name in figures}
    for name, figure in figures.items():
        with file_errors.named("--train_dir", paths[name], "write"):
            charts.save(paths[name], figure)
    return paths


def find_checkpoint(train_dir):
    """Returns the path of a run's best checkpoint, see `history.History.best`; of its last one if there is no best.

    Raises:
      ValueError: there is none.
    """
    past = history.History(train_dir, history.read_flags(train_dir))
    paths = checkpoints.candidates(train_dir)
    if past.rows and "validation_loss" in past.best():
        step = past.best()["global_step"]
        best = os.path.join(train_dir, checkpoints.BEST % step)
        last = os.path.join(train_dir, f"{checkpoints.LAST}-{step}")  # With the same weights.
        return last if last in paths and best not in paths else best
    if not paths:
        raise ValueError(f"--train_dir: expected a directory with checkpoints, got {train_dir}, which has none")
    return paths[0]


def read_settings(train_dir):
    """Returns flag -> value of the run in a directory.

    Raises:
      ValueError: the directory is not that of a run, or of a run with other flags.
    """
    settings = dict(dict.fromkeys(layer_options.TABLE), **history.read_flags(train_dir))  # Early runs lack these.
    settings["train_dir"] = train_dir
    is_known = settings.get("task") in list(TASKS)  # A list also takes what no dictionary can have as a key.
    missing = [name for name in identity_flags(settings["task"]) if name not in settings] if is_known else []
    if missing or not is_known:
        missing = ", ".join(missing[:3]) + " ..." * (len(missing) > 3) if missing else "a task that exists"
        raise ValueError(f"--train_dir: {train_dir}/{history.FILE} lacks {missing}; train again in another directory")
    check_saved_flags(settings)
    return settings


def predict(task, examples, checkpoint, engine="auto", flag="--train_dir"):
    """Returns the predictions of a checkpoint's network for `examples`, in their order.

    Args:
      task: the task, with the settings of the run.
      examples: `tasks.examples.Examples`.
      checkpoint: the checkpoint's path.
      engine: the engine that runs StackedLSTM.
      flag: the flag that names the checkpoint, for messages.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of another network.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        network = task.build(recurrent_layers(task.settings, engine=engine, is_trained=False))
        checkpoints.restore(tf.train.Saver(), session, checkpoint, flag)
        (predictions,) = evaluate(session, network, examples, ["predictions"])
    return predictions
