"""Evaluation in a process of its own: each new checkpoint of a run, on the parts of the data."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Iterator, Mapping

import numpy as np

from stacked_lstm.commands import output_files
from stacked_lstm.compat import tf
from tasks import TASKS
from training import experiment, summaries, trainer
from training.run_files import checkpoints, history, lock

DIRECTORY = "evaluator"  # Of its events, in --train_dir.
WAIT_SECONDS = 2


def run(settings: Mapping[str, Any]) -> Mapping[str, float]:
    """Evaluates the newest checkpoint in --train_dir, and each later one, until the training has ended.

    It prints a line for each, and writes TensorBoard events. It waits for the first checkpoint as long as necessary,
    and says so.
    If checkpoints are written faster than they are evaluated, some are left out.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: the losses and scores of the last checkpoint, and its step.

    Raises:
      ValueError, OSError, ImportError: the data or the checkpoints do not allow it.
    """
    task, train_dir, row = TASKS[settings["task"]](settings), settings["train_dir"], {}
    output_files.check_folder_name("train_dir", train_dir)
    paths = paths_of(train_dir)
    first = next(paths)
    check_flags(settings)
    task.restore()
    experiment.read_data(task)
    with tf.Graph().as_default(), tf.Session() as session, contextlib.ExitStack() as stack:
        network = task.build(experiment.recurrent_layers(settings))
        step, saver = tf.train.get_or_create_global_step(), tf.train.Saver()
        os.makedirs(os.path.join(train_dir, DIRECTORY), exist_ok=True)
        events = stack.enter_context(contextlib.closing(summaries.EventFile(os.path.join(train_dir, DIRECTORY))))
        for path in (path for part in ([first], paths) for path in part):
            try:
                checkpoints.restore(saver, session, path)
            except ValueError:
                if path in checkpoints.complete(train_dir):
                    raise
                continue  # The chief has removed it meanwhile.
            row = {"global_step": int(session.run(step))}
            for part, examples in task.parts().items():
                vectors = trainer.evaluate(session, network, examples, ["losses", "scores"])
                loss, score = (float(np.mean(vector, dtype=np.float64)) for vector in vectors)
                row.update({f"{part}_loss": loss, f"{part}_{task.METRIC}": score})
            print(f"evaluator: step {row['global_step']}, {experiment.scores_line(row, task.METRIC)}", flush=True)
            events.add(summaries.scalars(row), row["global_step"])
            events.flush()
    print(f"evaluator: no process trains in {train_dir} any more", flush=True)
    return row


def check_flags(settings: Mapping[str, Any]) -> None:
    """Raises ValueError if the flags are not those of the run. Only the engine may be another one."""
    train_dir = settings["train_dir"]
    engine = history.read_flags(train_dir)["engine"]
    experiment.open_history(dict(settings, engine=engine))


def paths_of(train_dir: str) -> Iterator[str]:
    """Yields the newest checkpoint, and each one that is the newest later, until no process trains there.

    The first time that it waits for the first checkpoint, and for a later one, it prints a line.
    """
    yielded: list[str] = []
    told = set()

    def has_ended() -> bool:
        is_trained = lock.is_held(train_dir)
        if yielded and not is_trained and checkpoints.last(train_dir) in (yielded[-1], None):
            return True
        which = "next" if yielded else "first"
        if which not in told:
            told.add(which)
            state = "" if is_trained else ", in which no process trains yet"
            print(f"evaluator: waits for the {which} checkpoint in {train_dir}{state}", flush=True)
        return False

    for path in tf.train.checkpoints_iterator(train_dir, timeout=WAIT_SECONDS, timeout_fn=has_ended):
        yielded.append(path)
        yield path
