"""The threads of a predictor, under the compiler's sanitizers."""

import os

from support.engines.sanitizers import NEEDS_COMPILER, SANITIZERS, build, run

pytestmark = NEEDS_COMPILER


@SANITIZERS
def test_functions_run_once(sanitizers, processor, tmp_path):
    """Also in bursts, from several threads, and in a child that has none of the threads."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "thread_pool.cc")
    assert run(build(source, [], sanitizers, processor, tmp_path)) == (0, "as it should be\n")
