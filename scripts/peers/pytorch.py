"""PyTorch itself, and its LSTM in the benchmark: by oneDNN on a CPU and by cuDNN on a GPU.

This module does not import TensorFlow: on a GPU the two end a process that has both of them, if they are built for
different versions of CUDA.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Callable

import numpy as np

from benchmarking.subjects.options import RATE, OptionAt
from benchmarking.subjects.shapes import Shape
from benchmarking.timing import fastest_threads

DEVICES = {"CPU": "cpu", "GPU": "cuda"}  # TensorFlow's names and PyTorch's.


def pytorch(device: str = "CPU") -> Any:
    """Imports torch, for a device of `DEVICES`; TF32 is off on GPUs unless the environment asks for it.

    Raises:
      ImportError: torch is not installed, or does not see a GPU.
    """
    # Triton is PyTorch's compiler, which nothing here needs; its LLVM and TensorFlow's in one process can end it.
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(f"--peer=pytorch needs the package torch ({error}): pip install torch") from error
    if device == "GPU" and not torch.cuda.is_available():
        raise ImportError(f"--peer=pytorch needs a torch that sees the GPU, and torch {torch.__version__} sees none")
    allowed = os.environ.get("STACKED_LSTM_TF32") == "1"  # `tf32.asked_for` without TensorFlow.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    return torch


def wait(torch: Any, device: str) -> None:
    """Waits until a device, by PyTorch's name, has done all its work."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def step(shape: Shape, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """torch.nn.LSTM, time-major as it is by default."""
    return _step({}, shape, x, mode, device)


def option_step(option: OptionAt, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """The same with an option."""
    settings = {
        "dropout": {"dropout": RATE},
        "projection": {"proj_size": option.arguments().get("projection_size")},
        "bidirectional": {"bidirectional": True},
    }
    return _step(settings[option.name], option.shape, x, mode, device)


@fastest_threads
def _step(
    settings: dict[str, Any], shape: Shape, x: np.ndarray, mode: str, device: str, threads: int | None
) -> Callable[[], Any]:
    """torch.nn.LSTM with some arguments.

    On a GPU the input is in pinned memory, from which copies to the GPU are fastest, and so are the outputs.
    """
    torch, place = pytorch(device), DEVICES[device]
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))  # PyTorch cannot return to its own choice.
    sizes, dtype = (shape.input_size, shape.hidden_size, shape.layers), getattr(torch, x.dtype.name)
    network = torch.nn.LSTM(*sizes, device=place, dtype=dtype, **settings).train(mode == "training")
    optimizer = torch.optim.SGD(network.parameters(), 0.1, fused=True)
    host = torch.from_numpy(x)
    host = host.pin_memory() if device == "GPU" else host

    def infer() -> Any:
        with torch.inference_mode():
            outputs = network(host.to(place, non_blocking=True))[0].to("cpu", non_blocking=True)
        wait(torch, place)
        return outputs

    def train() -> None:
        optimizer.zero_grad()
        torch.mean(torch.square(network(host.to(place, non_blocking=True))[0])).backward()
        optimizer.step()
        wait(torch, place)

    return train if mode == "training" else infer
