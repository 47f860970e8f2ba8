"""stacked_lstm/commands/choices.py: flags have the values that the package has; and `--help` imports no TensorFlow."""

import os
import subprocess
import sys

import pytest
from absl import flags

from stacked_lstm import engines, initializers, parity
from stacked_lstm.commands import choices, compare
from stacked_lstm.stack import initial_state
from support.suite.paths import ROOT, SCRIPTS
from support.suite.sets import ONCE


def test_choices_are_what_the_package_has():
    assert choices.ENGINES == ("auto", *engines.ENGINES)
    assert sorted(choices.INITIAL_STATES) == sorted(initial_state.INITIAL_STATES)
    assert sorted(choices.WEIGHT_INITIALIZERS) == sorted(initializers.DISTRIBUTIONS)
    assert sorted(choices.DTYPES) == sorted(parity.TOLERANCES)


def test_the_help_and_the_page_have_the_tolerances():
    values = flags.FlagValues()
    compare.define_flags(values)
    with open(os.path.join(SCRIPTS, "README.md"), encoding="utf-8") as file:
        page = file.read()
    for dtype, tolerance in parity.TOLERANCES.items():
        assert f"{tolerance:.0e}".replace("e-0", "e-") + f" in {dtype}" in values["tolerance"].help
        losses = parity.LOSS_TOLERANCES[dtype]
        assert f"| {dtype} | {tolerance:.0e} | {losses:.0e} |".replace("e-0", "e-") in page


HELP = """
import runpy, sys
sys.argv = [{script!r}, "--help"]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as end:
    heavy = sorted({{"tensorflow", "torch", "matplotlib", "tf_keras"}} & set(sys.modules))
    sys.exit("imported: %s" % heavy if heavy else end.code)
"""


@ONCE
@pytest.mark.parametrize(
    "script, flag", [("compare", "peer"), ("train", "patience"), ("predict", "only_errors"), ("benchmark", "chart")]
)
def test_help_answers_without_the_libraries(script, flag):
    """With its docstring, its flags and status 0."""
    path = os.path.join(SCRIPTS, f"{script}.py")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([SCRIPTS, ROOT]))
    process = subprocess.run(
        [sys.executable, "-c", HELP.format(script=path)], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert f"--{flag}" in process.stdout.replace("[no]", "") and f"python scripts/{script}.py" in process.stdout
