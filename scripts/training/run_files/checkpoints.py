"""The checkpoints in a run's directory: their names, the newest intact one, and what a killed run leaves."""

from __future__ import annotations

import glob
import os
import re
import shutil

from shared import file_errors
from stacked_lstm.commands import output_files
from stacked_lstm.compat import tf
from stacked_lstm.files import durable_files

LAST = "model.ckpt"  # Followed by "-" and the step, as `tf.train.Saver` names them.
BEST = "best.ckpt-%d"  # The best checkpoint, with its step; the history decides which one it is.
STATE = "checkpoint"  # TensorFlow's file, which names the last checkpoint.

_PARTS = re.compile(r"((?:model|best)\.ckpt-(\d+))\.(index|meta|data-\d{5}-of-\d{5})")
# What writers that were killed leave: TensorFlow's, `output_files.replace` and `checkpoints.write`.
_TEMPORARY = re.compile(
    r".*\.tempstate\d*|checkpoint\.tmp-?[0-9a-f]+|.*\.ckpt-\d+_temp(_.*)?|.*\.meta\.tmp[0-9a-f]+"
    r"|(history|vocabulary|projector_config|ablation)\.tmp-\d+\.(json|txt|pbtxt|csv)|\w+\.tmp-\d+\.png|\.writing-.*"
)


def complete(train_dir: str) -> list[str]:
    """The paths of the checkpoints in a directory, newest first; for each step the last one before the best one.

    TensorFlow writes the index last, so a checkpoint with an index was written completely.
    """
    steps = {}
    for name in _names(train_dir):
        match = _PARTS.fullmatch(name)
        if match and match.group(3) == "index":
            steps[match.group(1)] = int(match.group(2))
    names = sorted(steps, key=lambda name: (steps[name], name.startswith(LAST)), reverse=True)
    return [os.path.join(train_dir, name) for name in names]


def last(train_dir: str) -> str | None:
    """The checkpoint that the file `checkpoint` names; None if the file is missing, damaged or names none that exists.

    Raises:
      ValueError: `checkpoint` is a directory or a pipe, so that no run could write it.
    """
    file_errors.check_regular("--train_dir", os.path.join(train_dir, STATE))
    try:
        state = tf.train.get_checkpoint_state(train_dir)
        path = state.model_checkpoint_path if state else ""
        return path if path and tf.train.checkpoint_exists(path) else None
    except (ValueError, tf.errors.OpError):  # It is empty, or no text.
        return None


def candidates(train_dir: str) -> list[str]:
    """The paths of the checkpoints from which a run may go on, the first choice first."""
    paths, path = complete(train_dir), last(train_dir)
    return ([path] if path else []) + [other for other in paths if other != path]


def check_name(path: str | None) -> None:
    """Raises ValueError if --checkpoint names something else than a checkpoint, such as one of its files."""
    if path and not os.path.isfile(path + ".index"):
        raise ValueError(f"--checkpoint: expected a checkpoint such as runs/titles/model.ckpt-151, got {path}")


def restore(saver: tf.train.Saver, session: tf.Session, path: str, flag: str = "--train_dir") -> None:
    """Restores a checkpoint; messages begin with `flag`.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of another network.
    """
    try:
        saver.restore(session, path)
    except (ValueError, tf.errors.OpError) as error:
        reason = file_errors.reason(error)
        raise ValueError(f"{flag}: {path}: expected a whole checkpoint of this network ({reason})") from error


def restore_newest(saver: tf.train.Saver, session: tf.Session, train_dir: str) -> tuple[str | None, str | None]:
    """Restores the last checkpoint, or else the newest intact one.

    Returns:
      (path, why), the path of the checkpoint that was restored, None if the directory has none; and one line if it is
      not the one that the file `checkpoint` names.

    Raises:
      ValueError: the directory has checkpoints, and none is intact; the message says how to start anew.
    """
    errors = []
    for path in candidates(train_dir):
        try:
            restore(saver, session, path)
        except ValueError as error:
            errors.append(str(error))
            continue
        if errors or path != last(train_dir):
            wrong = errors[0] if errors else f"--train_dir: {os.path.join(train_dir, STATE)} names no checkpoint"
            return path, f"{wrong}; the newest intact checkpoint is {path}"
        return path, None
    if errors:
        raise ValueError(f"{errors[0]}; no other checkpoint is intact: {start_anew(train_dir)}")
    return None, None


def start_anew(train_dir: str) -> str:
    """How to start a run anew, for the end of a message."""
    return f"to start anew, delete {train_dir} or choose another --train_dir"


def flush(path: str) -> None:
    """Waits until a checkpoint, which TensorFlow has written, is on the disk."""
    for name in sorted(glob.glob(glob.escape(path) + ".*")):
        if _PARTS.fullmatch(os.path.basename(name)):
            durable_files.flush(name)
    durable_files.flush(os.path.dirname(os.path.abspath(path)))


def write_state(path: str) -> None:
    """Makes the file `checkpoint` name a checkpoint, by its name in the directory, which may move.

    TensorFlow's own function does not wait for the disk.
    """
    directory, name = os.path.split(path)
    # For a relative directory, TensorFlow would take the name as relative to the working directory.
    text = str(tf.train.generate_checkpoint_state_proto(os.path.abspath(directory), name))

    def write(temporary: str) -> None:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)

    output_files.replace(os.path.join(directory, STATE), write)


def keep_newest(train_dir: str, count: int, step: int) -> None:
    """Removes the checkpoints up to a step, except the newest `count` and the best ones."""
    paths = [path for path in complete(train_dir) if os.path.basename(path).startswith(LAST)]
    for path in [path for path in paths if _step(path) <= step][count:]:
        remove(path)


def keep_best(train_dir: str, step: int) -> None:
    """Removes the best checkpoints of other steps than `step`."""
    for path in complete(train_dir):
        if not os.path.basename(path).startswith(LAST) and _step(path) != step:
            remove(path)


def _step(path: str) -> int:
    return int(path.rpartition("-")[2])


def remove(path: str) -> None:
    """Removes a checkpoint, its index first, so that what is left after a kill does not look complete."""
    for name in [path + ".index", path + ".meta"] + sorted(glob.glob(glob.escape(path) + ".data-*")):
        if os.path.isfile(name):
            with file_errors.named("--train_dir", name, "remove"):
                os.remove(name)


def remove_leftovers(train_dir: str) -> None:
    """Removes temporary files and incomplete checkpoints, which a killed run left. No other run may be at work."""
    whole = {os.path.basename(path) for path in complete(train_dir)}
    for name in _names(train_dir):
        match, path = _PARTS.fullmatch(name), os.path.join(train_dir, name)
        if not (_TEMPORARY.fullmatch(name) or match and match.group(1) not in whole):
            continue
        with file_errors.named("--train_dir", path, "remove"):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.remove(path)


def _names(directory: str) -> list[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []
