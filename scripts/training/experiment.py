"""One run: data, a network, its training, and what it leaves behind; and the way back to a trained network."""

import collections
import contextlib
import json
import os
import sys

import networks
import pictures
from stacked_lstm.compat import tf
from tasks import ONLY_SOME, TASKS
from tasks.task import PARTS
from training import history, summaries
from training.trainer import BEST, Trainer, evaluate, restore

CURVES = "curves"
# Flags that decide what a checkpoint holds: a run goes on only with the same values. Without --epochs and --patience,
# so that a finished run can be trained on, and without --train_dir, so that it can be moved.
IDENTITY = (
    "task", "data_dir", "train_examples", "hidden_sizes", "initial_state", "weight_initializer", "engine", "peer",
    "batch_size", "learning_rate", "seed", "vocabulary_size", "embedding_size", "loss_steps",
)  # fmt: skip

Outcome = collections.namedtuple("Outcome", ["final", "task", "predictions"])
Outcome.__doc__ = """What comes of a run.

Fields:
  final: name -> number, what `train.py` prints last.
  task: `tasks.task.Task`, its data read.
  predictions: the network's for the task's test examples, of the best epoch.
"""


def recurrent_of(settings, **changes):
    """The `networks.Recurrent` that flag -> value ask for."""
    names = ("hidden_sizes", "peer") + tuple(networks.OF_PEERS)
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
    recurrent = recurrent_of(settings)
    past = history.History(train_dir, {name: settings[name] for name in IDENTITY if name in settings})
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
            predictions = trainer.predict(task.test, checkpoint_of(train_dir))
            trainer.show(draw(task, past, predictions, settings))
    final = dict(past.summary(task.METRIC), **task.baselines)
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return Outcome(final, task, predictions)


def describe(task, settings):
    """Prints what is known of the data."""
    counts = ["%d %s" % (len(part), {"train": "training"}.get(name, name)) for name, part in task.parts().items()]
    print(f"{settings['task']}: {' and '.join([', '.join(counts[:-1]), counts[-1]])} examples")
    for note in task.notes:
        print(note)
    for baseline in task.baselines.items():
        print("baseline: %s %.4f" % baseline)


def fit(trainer, task, past, settings):
    """Trains to the last epoch's end, or until the validation loss has not become better for --patience epochs.

    Each epoch is a row of the history and a line on stdout; a progress bar is on stderr.
    """
    import tqdm

    if trainer.step:
        epochs_done = trainer.step / float(trainer.steps_per_epoch)
        print(f"going on from {trainer.last_checkpoint}, {epochs_done:.2f} epochs done", flush=True)
    total = settings["epochs"] * trainer.steps_per_epoch
    pause = 0.1 if sys.stderr.isatty() else 10  # Seconds; a log file need not have every step.
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
                trainer.save_best()  # The row that calls it the best comes after it, and only then goes the one before.
            past.add(row)
            trainer.save()
            if better:
                trainer.keep_best(trainer.step)
            trainer.summarize(row)
            bar.write(line_of(row, task.METRIC))


def line_of(row, metric):
    """A row of the history for people."""
    parts = [f"epoch {row['epoch']:2}, {row['seconds']:.1f} s"]
    for part in PARTS:
        if part + "_loss" in row:
            values = (part, row[part + "_loss"], metric, row[f"{part}_{metric}"])
            parts.append("%s loss %.4f %s %.4f" % values)
    return " | ".join(parts)


def draw(task, past, predictions, settings):
    """Writes the pictures of a run to its directory; returns name -> path."""
    title = f"{settings['task']}, {settings['peer'] or 'StackedLSTM'} {history.text(settings['hidden_sizes'])}"
    best = past.best()
    kept = None if best is past.rows[-1] else best["epoch"]
    figures = {
        CURVES: pictures.curves(title, past.rows, task.parts(), task.METRIC, task.METRIC_LABEL, task.baselines, kept)
    }
    found = (title, best["epoch"], task.METRIC, best["test_" + task.METRIC])
    figures.update(task.pictures("%s: test part, epoch %d, %s %.4f" % found, predictions))
    return save_pictures(settings["train_dir"], figures)


def save_pictures(directory, figures):
    """Writes name -> figure as PNG files; returns name -> path."""
    paths = {name: os.path.join(directory, name + ".png") for name in figures}
    for name, figure in figures.items():
        pictures.save(paths[name], figure)
    return paths


def checkpoint_of(train_dir):
    """Returns the path of the checkpoint of a run's best epoch, see `history.History.best`; of its last step before.

    Raises:
      ValueError: there is none.
    """
    past = history.History(train_dir, history.flags_of(train_dir))
    if past.rows and "validation_loss" in past.best():
        return os.path.join(train_dir, BEST % past.best()["global_step"])
    path = tf.train.latest_checkpoint(train_dir)
    if not path:
        raise ValueError(f"--train_dir: expected the directory of a run, with checkpoints, got {train_dir}")
    return path


def settings_of(train_dir):
    """Returns flag -> value of the run in a directory.

    Raises:
      ValueError: it is not of a run, or of one with other flags.
    """
    settings = dict(history.flags_of(train_dir), train_dir=train_dir)
    others = ONLY_SOME - set(TASKS[settings["task"]].DEFAULTS) if settings.get("task") in TASKS else ()
    missing = [name for name in IDENTITY if name not in settings and name not in others]
    if missing:
        raise ValueError(f"--train_dir: expected a run with the flags {', '.join(missing)}, got {train_dir}")
    return settings


def predict(task, examples, checkpoint, engine="auto"):
    """Returns the predictions of a checkpoint's network for `examples`, in their order.

    Args:
      task: `tasks.task.Task`, with the settings of the run.
      checkpoint: its path.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or one of another network.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        network = task.build(recurrent_of(task.settings, engine=engine))
        restore(tf.train.Saver(), session, checkpoint)
        (predictions,) = evaluate(session, network, examples, ["predictions"])
    return predictions
