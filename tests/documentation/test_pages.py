"""What the pages say is true: their Python and their commands run; the files, links, flags and defaults exist."""

import glob
import inspect
import os
import re
import subprocess

import numpy as np
import pytest

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from support.engines.native_ops import auto_engine
from support.processes import pages, programs
from support.suite.paths import ROOT
from support.suite.sets import EXHAUSTIVE, ONCE

README = pages.text_of("README.md")


def keras_arrays():
    """What a Keras layer of 3 units for 8 inputs returns."""
    return [np.random.RandomState(0).standard_normal(shape) for shape in ([8, 12], [3, 12], [12])]


def checked(result):
    """The output of a process that succeeded."""
    assert result.returncode == 0, result.stdout.decode()[-2000:] + result.stderr.decode()[-4000:]
    return result.stdout.decode()


@ONCE
@pytest.mark.parametrize("page", [page for page in pages.PAGES if pages.blocks(page, "python")])
def test_python_runs(page, tmp_path):
    """The blocks of a page, one after the other, are a program."""
    np.savez(str(tmp_path / "lstm.npz"), *keras_arrays())
    (tmp_path / "page.py").write_text("".join(pages.blocks(page, "python")), encoding="utf-8")
    result = programs.run(["page.py"], cwd=tmp_path, env=dict(os.environ, **pages.python_path()))
    printed = checked(result)
    if page == "README.md":
        assert "stacked_lstm/layer_1/Wf" in printed and f"name='{auto_engine()}'" in printed


@EXHAUSTIVE
@pytest.mark.parametrize("page", [page for page in pages.PAGES if pages.blocks(page, "bash")])
def test_commands_run(page, tmp_path):
    """Every command of every page, in an imitation of a clone, with flags added that make it short."""
    environment = pages.folder_of_a_clone(str(tmp_path))
    pages.write_examples(str(tmp_path))
    training = [f".venv/bin/python scripts/train.py --task={task}" for task in pages.TRAINED.get(page, ())]
    for block in training + pages.blocks(page, "bash"):
        script = block.replace("/opt/stacked_lstm", str(tmp_path / "opt"))
        command = ["bash", "-e", "-o", "pipefail", "-c", script]
        checked(subprocess.run(command, cwd=str(tmp_path), env=environment, capture_output=True))


def test_defaults():
    """The tables of the arguments have every argument, in order, with its default; that of options is on its page."""
    rows = []
    for page in (README, pages.text_of("stacked_lstm/README.md")):
        table = re.search(r"\| argument \| default \| values \|\n\|---.*?\n(.*?)\n\n", page, re.S).group(1)
        rows += [[cell.strip(" `") for cell in row.split("|")[1:3]] for row in table.split("\n")]
    parameters = list(inspect.signature(StackedLSTM.__init__).parameters.values())[1:]
    assert [name for name, _ in rows] == [parameter.name for parameter in parameters]
    for (name, default), parameter in zip(rows, parameters):
        if name == "hidden_sizes":
            assert parameter.default is parameter.empty and default == ""
        else:
            assert eval(default, {"tf": tf}) == parameter.default, name


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_table_has_its_numbers(page):
    """No word such as MEAN_OF_SEEDS stands where a number was to come."""
    text = re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```", "", pages.text_of(page), flags=re.S | re.M))
    assert re.findall(r"\b[A-Z]+_[A-Z]+\b", text) == []


@pytest.mark.parametrize("page", pages.PAGES)
def test_files_and_links_exist(page):
    """Files in backquotes are named from the root or from the page's folder; links lead to pages and their headings."""
    text, folder = pages.text_of(page), os.path.join(ROOT, os.path.dirname(page))
    for path in re.findall(r"`((?:stacked_lstm|scripts|tests)/[\w/]+(?:\.\w+|/))`", text):
        assert os.path.exists(os.path.join(ROOT, path)), path
    for path, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        target = os.path.join(folder, path) if path else os.path.join(ROOT, page)
        assert os.path.exists(target), path
        if heading:
            titles = re.findall(r"^#+ (.*)$", pages.text_of(os.path.relpath(target, ROOT)), re.M)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, heading


@pytest.mark.parametrize(
    "page", [page for page in pages.PAGES if re.match(r"stacked_lstm/.*README|scripts/\w+/README", page)]
)
def test_the_table_of_files_is_complete(page):
    """A page beside the code names every module of its folder, and the page of a part also those of its subfolders."""
    folder = os.path.dirname(page)
    pattern = "*.py" if folder == "stacked_lstm" else "**/*.py"
    paths = glob.glob(os.path.join(ROOT, folder, pattern), recursive=True)
    names = {os.path.basename(path) for path in paths if not os.path.basename(path).startswith("__")}
    assert [name for name in names if not re.search(rf"[`\[/]{name}[`\]]", pages.text_of(page))] == []
