"""Paths of the repository's files."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SCRIPTS = os.path.join(ROOT, "scripts")
GOLDEN = os.path.join(ROOT, "tests", "golden")
OF_TENSORFLOW = os.path.join(GOLDEN, "tensorflow_1_15")
