"""What the README says is true: its example runs, its commands and files exist."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as readme:
    TEXT = readme.read()


def test_first_example(tmp_path):
    example, truncated = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    # The second example goes on where the first one stands, within its session.
    program = example + "    chunks = [np.ones([4, 5, 8])] * 2\n    feed = {lengths: [5] * 4}\n"
    program += "".join(
        "    " + line for line in truncated.replace("start: value}", "start: value, **feed}").splitlines(True)
    )
    (tmp_path / "example.py").write_text(program, encoding="utf-8")
    result = subprocess.run([sys.executable, str(tmp_path / "example.py")], capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    printed = result.stdout.decode()
    assert "stacked_lstm/layer_1/Wf" in printed and "name='graph'" in printed


def test_files_named_exist():
    for path in re.findall(r"`((?:stacked_lstm|scripts|tests)/[\w/]+(?:\.py|/))`", TEXT):
        assert os.path.exists(os.path.join(ROOT, path)), path


def test_flags_named_exist():
    for script in ("compare", "train", "benchmark"):
        used = set(re.findall(r"--(\w+)=", "\n".join(re.findall(r"scripts/%s\.py .*" % script, TEXT))))
        helped = subprocess.run(
            [sys.executable, os.path.join(ROOT, "scripts", script + ".py"), "--helpshort"], stdout=subprocess.PIPE
        ).stdout.decode()
        assert used <= set(re.findall(r"--(?:\[no\])?(\w+):", helped)), (script, used)
