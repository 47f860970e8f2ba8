"""Which ops of a graph TensorFlow can run on a GPU, asked of its registry of kernels: needs no GPU.

TensorFlow's packages for Linux have the kernels for GPUs, whatever the machine; some builds have not.
"""

import functools

from tensorflow.python.framework import kernels

REGISTERED = any(k.device_type == "GPU" for k in kernels.get_registered_kernels_for_op("CudnnRNNV3").kernel)


def missing(ops):
    """Those of `ops` that have no kernel for GPUs, as "type(dtype, ...) name"."""
    return [f"{op.type}{sorted(_dtypes(op).values())} {op.name}" for op in ops if not _has_kernel(op)]


def _has_kernel(op):
    """Whether there is a kernel all of whose attributes of a type are the op's."""
    dtypes = _dtypes(op)
    return any(all(set(dtypes.get(name, [])) <= types for name, types in each.items()) for each in _kernels(op.type))


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
