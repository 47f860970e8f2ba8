"""Which ops of a graph TensorFlow can run on a GPU, from its registry of kernels. This needs no GPU.

TensorFlow's packages for Linux have the kernels for GPUs on every machine. Some builds do not have them.
"""

import functools

from tensorflow.python.framework import kernels

REGISTERED = any(k.device_type == "GPU" for k in kernels.get_registered_kernels_for_op("CudnnRNNV3").kernel)


def missing(ops):
    """Returns the `ops` that have no kernel for GPUs, as "type[dtypes] name"."""
    return [f"{op.type}{sorted(_dtypes(op).values())} {op.name}" for op in ops if not _has_kernel(op)]


def _has_kernel(op):
    """Whether there is a kernel for the dtypes of the op."""
    dtypes = _dtypes(op)
    kernels_of_type = _kernels(op.type)
    return any(all(set(dtypes.get(name, [])) <= types for name, types in k.items()) for k in kernels_of_type)


@functools.lru_cache(maxsize=None)
def _kernels(kind):
    """Attribute's name -> numbers of the dtypes it may have, of each kernel for GPUs, or for any device."""
    registered = kernels.get_registered_kernels_for_op(kind).kernel
    return [
        {c.name: set(c.allowed_values.list.type) for c in kernel.constraint if c.allowed_values.list.type}
        for kernel in registered
        if kernel.device_type in ("GPU", "DEFAULT")
    ]


def _dtypes(op):
    """Attribute's name -> numbers of the dtypes it has."""
    found = {}
    for name, value in op.node_def.attr.items():
        if value.HasField("type"):
            found[name] = [value.type]
        elif value.list.type:
            found[name] = list(value.list.type)
    return found
