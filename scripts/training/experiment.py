"""One run: data, a network, its training and its results; and the way back to a trained network."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, Mapping, NamedTuple

import numpy as np

import peers
from shared import pictures
from shared.options import format_value
from stacked_lstm.commands import charts
from stacked_lstm.compat import tf
from tasks import TASKS, networks
from tasks.task import PARTS, Task
from training import history, summaries
from training.settings import identity_flags
from training.trainer import BEST, Trainer, evaluate, restore

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
    """Makes the `networks.Recurrent` that the settings, flag -> value, ask for; `changes` count more."""
    names = ("hidden_sizes", "peer") + tuple(peers.SETTINGS)
    return networks.Recurrent(**{name: changes.get(name, settings[name]) for name in names})


def run(settings):
    """Trains, or goes on training, and writes everything to --train_dir.

    Args:
      settings: flag -> value.

    Returns:
      `Outcome`.

    Raises:
      ValueError, OSError, ImportError: the flags, the data or the environment do not allow it; one line says why.
      FloatingPointError: training met NaN or infinity, see `trainer.Trainer`.
    """
    train_dir = settings["train_dir"]
    recurrent = recurrent_layers(settings)
    past = history.History(train_dir, {name: settings[name] for name in identity_flags(settings["task"])})
    task = TASKS[settings["task"]](settings)
    if tf.train.get_checkpoint_state(train_dir):
        task.restore()
    task.read()
    describe(task, settings)
    with tf.Graph().as_default():
        tf.set_random_seed(settings["seed"])
        network = task.build(recurrent)
        print(f"network: {recurrent.description}")
        print(f"results: {train_dir}", flush=True)
        past.create()
        task.save()
        summaries.write_projector(train_dir, task.embeddings())
        arguments = [settings[name] for name in ("batch_size", "learning_rate", "seed", "train_dir")]
        with contextlib.closing(Trainer(network, task.train, *arguments)) as trainer:
            past.forget_after(trainer.step)
            fit(trainer, task, past, settings)
            predictions = trainer.predict(task.test, find_checkpoint(train_dir))
            trainer.show(draw(task, past, predictions, settings))
    final = dict(past.summary(task.METRIC), **task.baselines)
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return Outcome(final, task, predictions)


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
    pause = 0.1 if sys.stderr.isatty() else 10  # Seconds; a log file does not need every step.
    with tqdm.tqdm(total=total, initial=trainer.step, unit="step", mininterval=pause) as bar:

        def on_batch(loss):
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update()

        for epoch in range(trainer.step // trainer.steps_per_epoch + 1, settings["epochs"] + 1):
            if past.epochs_since_best() >= settings.get("patience", float("inf")):
                bar.write(f"no better validation loss since epoch {past.best()['epoch']}: stopped")
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
            trainer.save()
            if better:
                trainer.keep_best(trainer.step)
            trainer.summarize(row)
            bar.write(epoch_line(row, task.METRIC))


def epoch_line(row, metric):
    """A row of the history for people."""
    parts = [f"epoch {row['epoch']:2}, {row['seconds']:.1f} s"]
    for part in PARTS:
        if part + "_loss" in row:
            parts.append(f"{part} loss {row[part + '_loss']:.4f} {metric} {row[f'{part}_{metric}']:.4f}")
    return " | ".join(parts)


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
        charts.save(paths[name], figure)
    return paths


def find_checkpoint(train_dir):
    """Returns the path of a run's best checkpoint, see `history.History.best`; of its last one if there is no best.

    Raises:
      ValueError: there is none.
    """
    past = history.History(train_dir, history.read_flags(train_dir))
    if past.rows and "validation_loss" in past.best():
        return os.path.join(train_dir, BEST % past.best()["global_step"])
    path = tf.train.latest_checkpoint(train_dir)
    if not path:
        raise ValueError(f"--train_dir: expected a directory with checkpoints, got {train_dir}, which has none")
    return path


def read_settings(train_dir):
    """Returns flag -> value of the run in a directory.

    Raises:
      ValueError: the directory is not that of a run, or of a run with other flags.
    """
    settings = dict(history.read_flags(train_dir), train_dir=train_dir)
    expected = identity_flags(settings["task"]) if settings.get("task") in TASKS else ["task"]
    missing = [name for name in expected if name not in settings]
    if missing or settings["task"] not in TASKS:
        missing = ", ".join(missing[:3]) + " ..." * (len(missing) > 3) if missing else "a task that exists"
        raise ValueError(f"--train_dir: {train_dir}/{history.FILE} lacks {missing}; train again in another directory")
    return settings


def predict(task, examples, checkpoint, engine="auto"):
    """Returns the predictions of a checkpoint's network for `examples`, in their order.

    Args:
      task: the task, with the settings of the run.
      examples: `tasks.examples.Examples`.
      checkpoint: the checkpoint's path.
      engine: the engine that runs StackedLSTM.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of another network.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        network = task.build(recurrent_layers(task.settings, engine=engine))
        restore(tf.train.Saver(), session, checkpoint)
        (predictions,) = evaluate(session, network, examples, ["predictions"])
    return predictions
