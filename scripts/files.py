"""Files that are whole or not there."""

import os


def replace(path, write):
    """Calls `write` with a temporary name and renames the file: at `path` there never is half a file."""
    base, extension = os.path.splitext(path)
    temporary = base + ".tmp" + extension
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
