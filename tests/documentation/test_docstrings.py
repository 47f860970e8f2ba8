"""`help()` of each public class and function stands alone: it describes the arguments, and its example runs."""

import doctest
import inspect
import os
import pkgutil

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm.compat import tf
from support.suite import public
from support.suite.sets import ONCE

pytestmark = ONCE

OBJECTS = public.objects()
WITHOUT_EXAMPLE = (Exception,)  # Nobody makes these by hand.
MODULES = [m.name for m in pkgutil.walk_packages(stacked_lstm.__path__, "stacked_lstm.") if "__main__" not in m.name]


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_the_example_runs(name, tmp_path, monkeypatch):
    """Examples assume `numpy as np`, `tensorflow.compat.v1 as tf` without its version 2 behaviour, and this package."""
    value = OBJECTS[name]
    if inspect.isclass(value) and issubclass(value, WITHOUT_EXAMPLE):
        return
    monkeypatch.chdir(tmp_path)
    known = {"np": np, "tf": tf, "stacked_lstm": stacked_lstm}
    (example,) = doctest.DocTestFinder(recurse=False).find(value, name, globs=known)
    assert example.examples, f"{name} has no example"
    printed = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=printed.append)
    assert not result.failed, "".join(printed)


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_every_argument_is_described(name):
    """By its name, in the docstring of the class, of `__init__` or of the function."""
    value = OBJECTS[name]
    text, function = inspect.getdoc(value) or "", value
    if inspect.isclass(value):
        function = value.__new__ if hasattr(value, "_fields") else value.__init__
        text += inspect.getdoc(function) or ""
    if not inspect.isfunction(function):
        return
    arguments = [
        p for p in inspect.signature(function).parameters if p not in ("self", "cls", "_cls", "args", "kwargs")
    ]
    assert [argument for argument in arguments if argument not in text] == []
    assert text.split("\n")[0].endswith("."), "the first line is a sentence"


@pytest.mark.parametrize("path", MODULES)
def test_public_signatures_have_types(path):
    """Of every function and method without an underscore, in every module; a type checker reads them in `.ci/run`."""
    module = __import__(path, fromlist=["_"])
    for name, function in public.functions(module).items():
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        untyped = [p.name for p in parameters if p.annotation is p.empty]
        assert not untyped, f"{path}.{name}: {untyped}"
        is_init = name.endswith("__init__")
        assert is_init or signature.return_annotation is not signature.empty, f"{path}.{name}: no type of the result"


def test_the_package_tells_type_checkers_so():
    assert os.path.exists(os.path.join(os.path.dirname(stacked_lstm.__file__), "py.typed"))
