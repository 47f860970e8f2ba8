"""scripts/benchmarking/flag_checks.py: flags of benchmark.py that do not fit, alone or together."""

import pytest

from support.training.benchmarks import run_main


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"modes": []}, "modes: expected names of modes, got none"),
        ({"contestants": []}, "contestants: expected names of contestants, got none"),
        ({"shapes": ""}, "shapes: expected T,B,I,H,L, got none"),
        ({"from_json": []}, "from_json: expected files of --json, got none"),
        (
            {"modes": ["exported", "training"]},
            "modes: expected cluster or exported without other modes, got exported, .*",
        ),
        ({"modes": ["exported", "exported"], "device": "GPU"}, "device: expected none with --modes=exported, got GPU"),
        (
            {"modes": ["training", ""]},
            "modes: expected some of inference, training, evaluation; or cluster or exported without other modes, "
            "got an empty name",
        ),
        ({"modes": ["cluster"], "shapes": "1,1,1,1,1"}, "shapes: expected none with --modes=cluster, got 1,1,1,1,1"),
        ({"modes": ["exported"], "device": "GPU"}, "device: expected none with --modes=exported, got GPU"),
        ({"programs": ["elmo"], "shapes": "1,1,1,1,1"}, "shapes: expected none with --programs, got 1,1,1,1,1"),
        ({"part": "whole"}, "part: expected none without --programs, got whole"),
        ({"runs": ["a", "b"]}, "runs: expected none without --modes=exported, got a,b"),
        ({"from_json": ["x"], "modes": ["training"]}, "modes: expected none with --from_json, got training"),
        ({"from_json": ["/no/x"]}, r"from_json: expected a file .*, got /no/x \(No such file or directory\)"),
        ({"from_json": [__file__]}, r"from_json: expected a file .*py \(no JSON\)"),
        ({"cells": ["GRUCell"], "contestants": ["gemm"]}, r".*\(with --cells and --device=CPU\), got gemm"),
        ({"seconds": float("nan")}, "seconds: expected a number of seconds, got nan"),
        ({"shapes": "1,1,1,1,\u00b2"}, "shapes: expected T,B,I,H,L .*, got '1,1,1,1,\u00b2'"),
        ({"threads": ["\u00b2"]}, "threads: expected positive integers such as 1,2,4, got \u00b2"),
        (
            {"contestants": ["predictor"], "modes": ["training", "training"], "shapes": "1,1,1,1,1"},
            "contestants: expected one that can be measured with --modes=training, got predictor",
        ),
    ],
)
def test_flags_that_do_not_fit(flags, message):
    with pytest.raises(ValueError, match=f"^--{message}$"):
        run_main(**flags)
