"""The pages: their blocks, and folders in which their commands run as a reader would run them."""

import os
import re
import shutil
import stat
import sys
import textwrap

from stacked_lstm import checkpoints
from stacked_lstm.compat import tf
from support.suite.paths import GOLDEN, ROOT

RESULTS = "scripts/benchmarking/results"

# Pages from the root; CHANGELOG.md has no commands.
PAGES = (
    "README.md",
    "BUILD.md",
    "tests/README.md",
    *(f"scripts/{folder}README.md" for folder in ("", "training/", "benchmarking/")),
    *(f"{RESULTS}/{name}.md" for name in ("cells", "exported", "options", "programs", "shapes")),
    "stacked_lstm/README.md",
    *(f"stacked_lstm/{name}/README.md" for name in ("checkpoints", "engines", "export", "rnn_cell", "runtime")),
)

# Script, or script and its first flag -> flags that make a run short. The last value of a flag counts.
SHORT = {
    "compare.py": "--steps=2 --repeats=1 --hidden_sizes=3,2 --batch_size=2 --time_steps=4",
    "benchmark.py --programs": "--programs=tagger --rounds=1 --seconds=0 --modes=evaluation "
    "--contestants=auto,stepwise",
    "benchmark.py --modes=exported": "--rounds=1 --runs=runs/forecast",
    "benchmark.py --modes=cluster": "--rounds=1 --seconds=0",
    "benchmark.py --options": "--options=zoneout --rounds=1 --seconds=0 --shapes=3,2,4,8,2 --contestants=plain,native",
    "benchmark.py --cells": "--cells=BasicLSTMCell --rounds=1 --seconds=0 --shapes=3,2,4,8,2",
    "benchmark.py --from_json": "",
    "benchmark.py --threads": "--threads=1,2 --rounds=1 --seconds=0 --shapes=3,2,4,8,2 --modes=inference "
    "--contestants=native,onnxruntime",
    "benchmark.py": "--rounds=1 --seconds=0.01 --shapes=3,2,4,8,2 --contestants=graph,native,dynamic_rnn",
    "train.py": "--epochs=1 --train_examples=64 --hidden_sizes=4",
    "predict.py": "",
    "convert.py": "",
    "export.py": "",
}

# Page -> the tasks whose finished runs its commands read.
TRAINED = {
    "scripts/README.md": ("titles", "forecast"),
    "scripts/benchmarking/README.md": ("forecast",),
    f"{RESULTS}/exported.md": ("forecast",),
}

CASES = "\n".join(f"  'scripts/{script}'*) short='{flags}' ;;" for script, flags in SHORT.items())

# In the place of `python`: short runs of the scripts, tests that are only collected, and no new environment.
PYTHON = f"""#!/bin/bash
short=
case "$1 $2" in
{CASES}
  "-m pytest") short="--collect-only -q -p no:cacheprovider"; cd '{ROOT}' ;;
  "-m venv"|"-m pip"|"-m build"|tests/golden/*) exit 0 ;;
esac
status=0
'{sys.executable}' "$@" $short || status=$?
if [[ "$*" == *GPU* && $status == 2 ]]; then exit 0; fi  # A machine without a GPU says so in one line.
if [[ "$*" == *linear_baseline* && $status == 2 ]]; then exit 0; fi  # scikit-learn is not installed for the tests.
exit $status
"""

COMMAND = f"""#!/bin/bash
exec '{sys.executable}' -c 'from stacked_lstm.commands.%s import run; run()' "$@"
"""

NOTHING = "#!/bin/bash\n"

# Name -> what runs in its place. What changes the machine does nothing here; `.ci/run` does that.
PROGRAMS = {
    "python": PYTHON,
    "python3": PYTHON,
    "stacked-lstm-compare": COMMAND % "compare",
    "stacked-lstm-convert": COMMAND % "convert",
    "stacked-lstm-migrate": COMMAND % "migrate",
    **dict.fromkeys(["apt", "find", "git", "pip", "python3.7", "unzip", "mypy", "ruff"], NOTHING),
}


OLD_PROGRAM = """
import tensorflow as tf

cell = tf.nn.rnn_cell.BasicLSTMCell(8)
outputs, state = tf.nn.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
"""


def text_of(page):
    """The text of a page."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def blocks(page, language):
    """The code blocks of one language on a page, in order."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(page), re.S | re.M)
    return [textwrap.dedent(indent + block[len(indent) :]) for indent, block in found]


def folder_of_a_clone(path):
    """Makes `path` look like a clone with its environment; returns the process environment for its commands."""
    for name in ("scripts", "tests", "stacked_lstm"):
        os.symlink(os.path.join(ROOT, name), os.path.join(path, name))
    for folder in ("programs", os.path.join(".venv", "bin"), os.path.join(".venv-1.15", "bin")):
        os.makedirs(os.path.join(path, folder))
        for name, program in PROGRAMS.items():
            file = os.path.join(path, folder, name)
            with open(file, "w") as script:
                script.write(program)
            os.chmod(file, os.stat(file).st_mode | stat.S_IXUSR)
    search = [os.path.join(path, "programs"), os.environ["PATH"]]
    return dict(os.environ, PATH=os.pathsep.join(search), **python_path())


def write_examples(path):
    """Writes the files that the pages' commands read: checkpoints of three programs, and a source file."""
    layers = checkpoints.read(os.path.join(GOLDEN, "keras_3", "stacked.keras")).layers
    shutil.copy(os.path.join(GOLDEN, "keras_3", "stacked.keras"), os.path.join(path, "model.keras"))
    checkpoints.write(os.path.join(path, "model.ckpt-1000"), layers, "rnn_cell")
    with open(os.path.join(path, "model.py"), "w") as file:
        file.write(OLD_PROGRAM)
    old = checkpoints.read(os.path.join(path, "model.ckpt-1000"))
    with tf.Graph().as_default(), tf.Session() as session:  # Names of TensorFlow 1.0.
        for layer in old.layers:
            for name, old_name in (("kernel", "weights"), ("bias", "biases")):
                tf.Variable(layer.arrays[name], name=f"{layer.name}/{old_name}")
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, os.path.join(path, "old.ckpt"))


def python_path():
    """The variable by which a program elsewhere imports the package of this clone."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))}
