"""The name of the scope of cuDNN's ops.

A graph with these ops can be built anywhere, but the ops have no kernels for CPUs. TensorFlow's error then contains the
name of the op's scope, which says what to do.
"""

SCOPE = "needs_a_GPU_without_one_build_the_graph_with_engine_native_or_graph"
