"""`python -m stacked_lstm.engines.native` builds the native engine ahead of its first use, and reports."""

import os
import sys

from stacked_lstm.engines.native import library


def main():
    """Returns the exit status."""
    try:
        where, is_new = library.built()
        library.load()
    except library.BuildError as error:
        print(f"the native engine is not available: {error}", file=sys.stderr)
        return 1
    print(f"{'built' if is_new else 'found'} {where}")
    if not os.environ.get(library.LIBRARY_VARIABLE):  # Which names what was built elsewhere.
        tools = library.toolchain()
        print("by %s (%s)" % (" ".join(tools.command), tools.version.split("\n")[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
