"""What the package offers its users, as a list of names and objects."""

import importlib
import inspect

MODULES = (
    "stacked_lstm",
    "stacked_lstm.checkpoints",
    "stacked_lstm.contrib.crf",
    "stacked_lstm.contrib.layers",
    "stacked_lstm.contrib.legacy_seq2seq",
    "stacked_lstm.contrib.seq2seq",
    "stacked_lstm.custom_gradient",
    "stacked_lstm.engines",
    "stacked_lstm.export",
    "stacked_lstm.initializers",
    "stacked_lstm.layouts",
    "stacked_lstm.numpy_lstm",
    "stacked_lstm.parity",
    "stacked_lstm.rnn_cell",
    "stacked_lstm.runtime",
    "stacked_lstm.state",
    "stacked_lstm.summaries",
)


def names(module):
    """`__all__`, or what the module defines itself under a name without an underscore."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def objects():
    """Name with its module -> each public class and function."""
    found = {}
    for path in MODULES:
        module = importlib.import_module(path)
        for name in names(module):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{path}.{name}"] = value
    return found


def functions(module):
    """Name -> each function and method that a module defines under a name without an underscore."""
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            found[name] = value
        elif inspect.isclass(value):
            for attribute, member in vars(value).items():
                member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                is_public = not attribute.startswith("_") or attribute in ("__init__", "__call__")
                if is_public and inspect.isfunction(member) and member.__module__ == module.__name__:
                    found[f"{name}.{attribute}"] = member
    return found
