"""`read`: the LSTM layers of a file, in the package's common form."""

import collections
import re

from stacked_lstm import checks
from stacked_lstm.checkpoints import files, slots
from stacked_lstm.checkpoints.formats import entry_of
from stacked_lstm.checkpoints.layers import MAYBE, OTHER, check_fits, check_numbers, fits, found

Checkpoint = collections.namedtuple("Checkpoint", ["path", "layers", "left", "others"])
Checkpoint.__doc__ = """What `read` found.

Fields:
  path: the file.
  layers: list of `FoundLayer`, in the order of the network.
  left: list of `FoundLayer` that were not taken: not named, or with names that are not an LSTM's.
  others: ordered dictionary from names to arrays of all that belongs to none of `layers`.
"""


def read(path, format=None, layers=None, forget_bias=None):
    """Reads a file's LSTM layers.

    Args:
      path: the file, or the prefix or the folder of a TensorFlow checkpoint.
      format: a name in `FORMATS`; None for what the suffix says, and without one for all layers that a TensorFlow
        checkpoint has.
      layers: regular expression that matches the whole names of the layers to take; None for all that are LSTM layers
        beyond doubt. The names are those in `layers` and `left` of what is returned.
      forget_bias: what is added to the forget gate of cells at run time, and is not in the file; None for 1.0, the
        default of BasicLSTMCell and LSTMCell. It does not concern libraries that add none.

    Returns:
      A `Checkpoint`.

    Raises:
      ValueError: a file that is missing or broken, or has no LSTM layers, or none of these names; layers whose arrays
        are not of the shapes of an LSTM's; layers not asked for by name that compute something else, or among whose
        numbers one is missing.
    """
    entry = entry_of(path, format, "checkpoints.read", otherwise="stacked_lstm")
    if forget_bias is not None:
        checks.number(forget_bias, "checkpoints.read", "forget_bias")
    content = entry.module.load(str(path))
    taken, left = choose(content, entry, format, layers, path)
    whole = [found(location, content.arrays, forget_bias) for location in taken]
    whole, used = slots.added(whole, content.arrays)
    others = collections.OrderedDict((name, array) for name, array in content.arrays.items() if name not in used)
    return Checkpoint(path, whole, [found(location, content.arrays, forget_bias) for location in left], others)


def choose(content, entry, format, pattern, path):
    """(the `Location`s of a file's layers to take, those to leave), as `read` says.

    Raises:
      ValueError: there are none to take; their arrays do not fit; without names, some compute something else than an
        LSTM, or one is missing among them.
    """
    with files.reading(path, "LSTM layers"):
        locations = entry.module.find(content, path)
    if format and not entry.suffixes:
        locations = [location for location in locations if location.layout == entry.layout]
    if pattern is None:
        taken = [location for location in locations if location.status != MAYBE]
    else:
        taken = [location for location in locations if _matches(pattern, location.name)]
    if not taken:
        expected = "LSTM layers in %s%s" % (path, " with names like %s" % pattern if pattern else "")
        names = ", ".join(location.name for location in locations)
        checks.fail("checkpoints.read", expected, "none%s" % ("; named otherwise: %s" % names if names else ""))
    for location in taken:
        check_fits(location, content.arrays, path)
    if pattern is None:
        unlike = {location.name: location.remark for location in taken if location.status == OTHER}
        if unlike:
            checks.fail("checkpoints.read", f"plain LSTM layers in {path}, or the names of those to take", unlike)
        check_numbers(taken, path)
    left = [location for location in locations if location not in taken]
    return taken, [location for location in left if fits(location.names, content.arrays, location.layout)]


def _matches(pattern, name):
    try:
        return re.fullmatch(pattern, name)
    except (re.error, TypeError) as error:
        checks.fail("checkpoints.read", "a regular expression for names of layers", f"{pattern!r} ({error})")
