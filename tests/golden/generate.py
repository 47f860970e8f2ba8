"""Writes the golden files: numbers that other libraries computed, and files that they saved.

    python tests/golden/generate.py NAME

NAME is a name in `MODULES`, and a function of that module. Its docstring says which environment it needs and which
files it writes. A second run writes the same arrays bit for bit; only timestamps inside the files differ. All weights,
biases and peepholes are random, because constant ones would hide a swapped gate.
"""

import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MODULES = {
    "tensorflow_1_15": "golden.by_tensorflow_1_15",
    "block_cells": "golden.by_tensorflow_1_15",
    "contrib_cells": "golden.by_tensorflow_1_15",
    "unrolled_loops": "golden.by_tensorflow_1_15",
    "sequence_losses": "golden.by_tensorflow_1_15",
    "tagging_functions": "golden.by_tensorflow_1_15",
    "program": "golden.by_tensorflow_1_15",
    "other_cells": "golden.by_tensorflow_1_15",
    "cudnn_lstm": "golden.by_tensorflow_1_15",
    "cudnn_layers": "golden.by_contrib_cudnn",
    "tf_keras": "golden.by_keras",
    "keras_3": "golden.by_keras",
    "pytorch": "golden.by_pytorch",
    "pytorch_exporters": "golden.by_pytorch_exporters",
    "onnx_peepholes": "golden.by_pytorch",
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MODULES:
        sys.exit(f"usage: python tests/golden/generate.py {'|'.join(MODULES)}")
    getattr(importlib.import_module(MODULES[sys.argv[1]]), sys.argv[1])()
