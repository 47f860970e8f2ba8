"""TF32: float32 products on NVIDIA GPUs (Ampere and later) whose factors are rounded to 10 bits of mantissa.

TensorFlow turns TF32 on by default. Results then agree with those of other devices to 1e-3 only. The `cudnn` engine
and the scripts that compare on a GPU therefore turn it off, unless the environment variable STACKED_LSTM_TF32 is 1.

TensorFlow has one switch for all ops of a process. Its cuDNN op reads the switch when it first runs a shape, and keeps
that setting for the shape.
"""

from __future__ import annotations

import os

from stacked_lstm import checks, log
from stacked_lstm.compat import set_tensor_float_32, tensor_float_32

ENVIRONMENT_VARIABLE = "STACKED_LSTM_TF32"


def asked_for() -> bool:
    """Whether the environment asks for TF32.

    Raises:
      ValueError: STACKED_LSTM_TF32 is neither 0 nor 1 nor empty.
    """
    value = os.environ.get(ENVIRONMENT_VARIABLE) or "0"
    return checks.known({"0": False, "1": True}, value, "tf32", ENVIRONMENT_VARIABLE)


def off_unless_asked_for() -> None:
    """Turns TF32 off for this process, unless the environment asks for it. The log says so once."""
    if asked_for() or not tensor_float_32():
        return
    set_tensor_float_32(False)
    log.warn_once(
        "TF32 is now off for all ops of this process, so that float32 results agree on every device; "
        f"set {ENVIRONMENT_VARIABLE}=1 in the environment to keep it on"
    )
