"""Differences between TensorFlow's versions. The package imports `tf` from this module.

TensorFlow 1.15 and 2.x both have the TF1 graph API as `tensorflow.compat.v1`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, Callable, Iterator, TypeVar

import tensorflow.compat.v1 as tf

__all__ = [
    "CallableOptions",
    "FetchHandler",
    "SaveSpec",
    "SaveableObject",
    "control_flow_v2",
    "cuda_version",
    "device_of_new_ops",
    "gpu_visible",
    "inside_another_loop",
    "inside_function_or_control_flow",
    "inside_function_or_xla",
    "inside_nested_control_flow",
    "record_on_tapes",
    "set_tensor_float_32",
    "tapes_are_active",
    "tensor_float_32",
    "tf",
    "without_autograph",
    "without_keras_advice",
]

# TensorFlow has no public names for the classes of what a `tf.train.Saver` saves.
_BUILDER = sys.modules[tf.train.Saver.__module__].BaseSaverBuilder
SaveableObject, SaveSpec = _BUILDER.SaveableObject, _BUILDER.SaveSpec

# `Session::MakeCallable` reads CallableOptions. A FetchHandler lists the tensors of a structure of fetches, and gives
# their values the same structure. Neither is public.
CallableOptions = sys.modules[tf.ConfigProto.__module__].CallableOptions
FetchHandler = sys.modules[tf.Session.__module__]._FetchHandler

# `record_operation` tells each active `tf.GradientTape` the gradient of an op. `could_possibly_record` returns whether
# a tape is active. Neither is public. Older versions name their module `tape_lib`, newer ones `record`.
_CUSTOM_GRADIENT = vars(sys.modules[tf.custom_gradient.__module__])
_TAPES = _CUSTOM_GRADIENT.get("record") or _CUSTOM_GRADIENT["tape_lib"]
record_on_tapes, tapes_are_active = _TAPES.record_operation, _TAPES.could_possibly_record


_Function = TypeVar("_Function", bound=Callable[..., Any])


def without_autograph(function: _Function) -> _Function:
    """Marks a function that AutoGraph does not convert. To convert this package takes seconds in each process."""
    converted: _Function = tf.autograph.experimental.do_not_convert(function)
    return converted


def inside_function_or_control_flow() -> bool:
    """Whether new ops belong to a tf.function, a branch of tf.cond or the body of a tf.while_loop."""
    graph = tf.get_default_graph()
    # Control flow v2 puts bodies into functions. TensorFlow has no public way to ask for control flow v1.
    return graph.building_function or graph._get_control_flow_context() is not None


def inside_function_or_xla() -> bool:
    """Whether new ops belong to a tf.function, or to a part of the graph that XLA compiles."""
    graph = tf.get_default_graph()
    context = graph._get_control_flow_context()
    while context is not None and not context.IsXLAContext():
        context = context.outer_context
    return graph.building_function or context is not None


def inside_nested_control_flow() -> bool:
    """Whether new ops belong to a branch or a body that is inside another one, under control flow v1."""
    context = tf.get_default_graph()._get_control_flow_context()
    return context is not None and context.outer_context is not None


def inside_another_loop(op: tf.Operation) -> bool:
    """Whether new ops are in a function or loop that does not contain `op`. The gradient of a loop does not count."""
    graph = tf.get_default_graph()
    if graph is not op.graph:  # The body of a loop under control flow v2.
        return True
    loop = _loop_around(graph._get_control_flow_context())
    return loop is not None and loop.grad_state is None and loop is not _loop_around(op._get_control_flow_context())


def _loop_around(context: Any) -> Any:
    """The innermost loop of a context of control flow v1, or None."""
    while context is not None and not context.IsWhileContext():
        context = context.outer_context
    return context


@contextlib.contextmanager
def control_flow_v2() -> Iterator[None]:
    """A context in which new loops and branches are those of control flow v2."""
    is_on = tf.control_flow_v2_enabled()
    tf.enable_control_flow_v2()
    try:
        yield
    finally:
        if not is_on:
            tf.disable_control_flow_v2()


def device_of_new_ops() -> tf.DeviceSpec:
    """The `tf.DeviceSpec` of new ops. It follows `tf.device`, device functions and `tf.colocate_with`."""
    graph = tf.get_default_graph()
    # Only an op tells its device. A scratch graph has this op: in the user's graph it would stay for good.
    with tf.Graph().as_default() as scratch:
        scratch._device_function_stack = graph._device_function_stack
        scratch._colocation_stack = graph._colocation_stack
        return tf.DeviceSpec.from_string(tf.no_op().device)


def cuda_version() -> str | None:
    """The version of CUDA that TensorFlow was built for, such as "12.5.1"; None if there is none or it is unknown."""
    get_build_info = getattr(tf.sysconfig, "get_build_info", None)  # TensorFlow 1.15 does not have it.
    return get_build_info().get("cuda_version") if get_build_info else None


def gpu_visible() -> bool:
    """Whether this process may use a GPU. The call starts CUDA."""
    return bool(tf.config.experimental.get_visible_devices("GPU"))


def tensor_float_32() -> bool:
    """Whether TF32 is on in this process; see `tf32`. TensorFlow's packages before 2.4 have no TF32."""
    experimental = tf.config.experimental
    return hasattr(experimental, "tensor_float_32_execution_enabled") and (
        experimental.tensor_float_32_execution_enabled()
    )


def set_tensor_float_32(enabled: bool) -> None:
    """Switches TF32 on or off for this process. TensorFlow's packages before 2.4 have no TF32: nothing happens."""
    if hasattr(tf.config.experimental, "enable_tensor_float_32_execution"):
        tf.config.experimental.enable_tensor_float_32_execution(enabled)


def _is_no_keras_advice(record: logging.LogRecord) -> bool:
    return "Please use `keras.layers." not in record.getMessage()


@contextlib.contextmanager
def without_keras_advice() -> Iterator[None]:
    """A context in which TensorFlow's loops do not log that programs should use layers of Keras instead.

    Keras' layers do not run the cells of this package. All other messages are logged.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_no_keras_advice)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_keras_advice)
