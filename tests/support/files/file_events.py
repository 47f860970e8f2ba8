"""Every change of a run's files, seen or forbidden: what is on the disk at each moment, and disks that are full."""

import builtins
import contextlib
import errno
import os
import shutil

from tensorflow.python.lib.io import file_io

from stacked_lstm.compat import tf
from support.training.tiny_runs import files_of

# What changes files, one entry per call: (owner, name).
CALLS = [
    (os, "makedirs"),
    (os, "replace"),
    (os, "remove"),
    (os, "fsync"),
    (builtins, "open"),
    (tf.train.Saver, "save"),
    (file_io, "rename"),
    (file_io, "atomic_write_string_to_file"),
    (tf.python_io.TFRecordWriter, "write"),
    (tf.python_io.TFRecordWriter, "flush"),
]


@contextlib.contextmanager
def before_each(hook):
    """Calls hook(name of the call) before everything in the block that changes a file."""
    with contextlib.ExitStack() as stack:
        for owner, name in CALLS:
            stack.enter_context(_patched(owner, name, hook))
        yield


@contextlib.contextmanager
def _patched(owner, name, hook):
    original = getattr(owner, name)

    def call(*args, **kwargs):
        if name != "open" or (args[1:] and args[1][0] in "wa"):
            hook(name)
        return original(*args, **kwargs)

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, original)


class Snapshots:
    """Copies of a directory, one for every moment at which its files differ: what a process that is killed leaves.

    TensorFlow's kernel writes the data of a checkpoint, renames them, and then writes the index. No call is between
    these steps, so copies of such moments are made from what the kernel leaves.
    """

    def __init__(self, directory, copies):
        self._directory, self._copies, self.paths, self._last = directory, copies, [], {}

    def take(self, name):
        """Copies the directory if it has changed; `name` is that of the call that comes next."""
        if name == "fsync" or not os.path.isdir(self._directory):
            return
        files = {file: content for file, content in files_of(self._directory).items() if file != "lock"}
        if files == self._last:
            return
        new = sorted(set(files) - set(self._last))
        self._last = files
        path = self._copy(name)
        indices = [file for file in new if file.endswith(".index")]
        for index in indices:
            data = index.replace(".index", ".data-00000-of-00001")
            path = self._copy(name + "-no_index")
            os.remove(os.path.join(path, index))
            path = self._copy(name + "-half")
            os.remove(os.path.join(path, index))
            with open(os.path.join(path, data + ".tempstate123"), "wb") as file:
                file.write(files[data][: len(files[data]) // 2])
            os.remove(os.path.join(path, data))

    def _copy(self, name):
        path = os.path.join(self._copies, f"{len(self.paths):03}-{name}")
        shutil.copytree(self._directory, path)
        self.paths.append(path)
        return path


class FullDisk:
    """A disk that is full at the call with a number, and at all later ones."""

    def __init__(self, number):
        self._left, self.name = number, None

    def __call__(self, name):
        """Raises what the call raises if the disk is full."""
        self._left -= 1
        if self._left >= 0 or name == "remove":
            return
        self.name = self.name or name
        reason = os.strerror(errno.ENOSPC)
        if name in ("makedirs", "replace", "open", "fsync"):
            raise OSError(errno.ENOSPC, reason)
        raise tf.errors.ResourceExhaustedError(None, None, f"somewhere; {reason}\n\t [[node save/SaveV2]]\nmore lines")
