"""Files that are written completely or not at all, also if the process is killed or the machine stops."""

from __future__ import annotations

import os
import shutil
import stat
from typing import Callable

from stacked_lstm import checks
from stacked_lstm.checkpoints.safety.files import Arrays, Content, existing_files, file_errors, same_bits
from stacked_lstm.files import durable_files
from stacked_lstm.files.temporary_folders import temporary_folder


def check_target(path: str, overwrite: bool, function: str = "checkpoints.write") -> None:
    """Raises ValueError if `path` cannot be written, because of its folder or of a file that exists.

    Args:
      path: the file to write, or the prefix of a TensorFlow checkpoint.
      overwrite: whether existing files may be replaced.
      function: the function of this package that the message names.
    """
    checks.flag(overwrite, function, "overwrite")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        checks.fail(function, f"an existing folder for {path}", f"none at {folder}")
    for name in existing_files(path):
        if os.path.isdir(name):
            checks.fail(function, "the name of a file", f"the folder {name}")
        if os.path.exists(name) and not stat.S_ISREG(os.stat(name).st_mode):
            checks.fail(function, "the name of a file", f"{name}, which is a FIFO, a socket or a device")
        if not overwrite:
            checks.fail(function, "the name of a new file, or `overwrite=True`", f"{name}, which exists")


def write(
    path: str,
    content: Content,
    save: Callable[[str, Content, str], None],
    load: Callable[[str], Content],
    overwrite: bool,
    function: str = "checkpoints.write",
) -> None:
    """Writes a file under a temporary name, reads it back, compares all arrays, and renames it.

    If anything fails, no file has changed. A file that is replaced keeps its mode. If `path` is a link, the file that
    it points to is replaced. At every instant the old file or the new one is complete, and what has the new name is on
    the disk. The files of a TensorFlow checkpoint are renamed one after the other, the index last. Its data have other
    names than the old ones, which are removed at the end, unless parts of the old checkpoint are links.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint.
      content: what to write.
      save: (temporary path, `Content`, path): writes the content to the temporary path; may raise ValueError.
      load: reads a path; may raise ValueError.
      overwrite: whether existing files may be replaced.
      function: the function of this package that the messages name.

    Raises:
      ValueError: `check_target` says when; or the arrays that were read back differ.
    """
    check_target(path, overwrite, function)
    path = os.path.realpath(path)
    folder, base = os.path.split(path)
    with temporary_folder(folder, ".writing-") as temporary:
        temporary_path = os.path.join(temporary, base)
        with file_errors(path, "arrays that can be written", function):
            save(temporary_path, content, path)
        _check_same_arrays(path, content.arrays, load(temporary_path).arrays, function)
        names = sorted(os.listdir(temporary))  # The data of a TensorFlow checkpoint sort before its index.
        targets = [os.path.realpath(os.path.join(folder, name)) for name in names]
        for name, target in zip(names, targets):
            source = os.path.join(temporary, name)
            if os.path.exists(target):
                shutil.copymode(target, source)
            durable_files.flush(source)
        for name, target in zip(names, targets):
            durable_files.replace(os.path.join(temporary, name), target)
    for name in existing_files(path):  # The checkpoint that was here had other shards, or was a file of version 1.
        if os.path.realpath(name) not in targets:
            os.remove(name)


def _check_same_arrays(path: str, arrays: Arrays, reread: Arrays, function: str) -> None:
    names = sorted(set(reread) ^ set(arrays))
    names += [name for name in arrays if name in reread and not same_bits(reread[name], arrays[name])]
    if names:
        checks.fail(function, f"{path} to hold what was written", f"other numbers in {', '.join(names[:5])}")
