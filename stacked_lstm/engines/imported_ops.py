"""The compiled ops that an imported graph may have."""

from __future__ import annotations

from stacked_lstm import log
from stacked_lstm.engines.cudnn import library as cudnn_library
from stacked_lstm.engines.native import library as native_library
from stacked_lstm.engines.place import Place


def load_native_ops() -> None:
    """Registers the compiled ops of the engines with TensorFlow in this process. It builds them first if necessary.

    These are the ops of `native` and, if the process sees an NVIDIA GPU, the op of `cudnn`.

    Call it before you import a graph with these ops by `tf.import_graph_def`, `tf.train.import_meta_graph` or as a
    SavedModel. In a cluster, every process that runs the graph must call this function. A program that builds its graph
    with `StackedLSTM` does not need it. A second call does nothing.

    Raises:
      RuntimeError: the ops cannot be built or loaded. The message contains the output of the compiler.

    Example: a graph is written by one program and read by another.

      >>> stacked_lstm.load_native_ops()
      >>> lstm = stacked_lstm.StackedLSTM([4], engine="native")
      >>> outputs, state = lstm(tf.zeros([2, 3, 1]))
      >>> graph_def = tf.get_default_graph().as_graph_def()
      >>> with tf.Graph().as_default() as graph:
      ...     tf.import_graph_def(graph_def, name="")
      ...     [op.name for op in graph.get_operations() if op.type == "StackedLstmForward"]
      ['stacked_lstm/StackedLstmForward']
    """
    native_library.load()
    if Place().has_gpu:
        problem = cudnn_library.problem()  # To ask is to load.
        if problem:
            log.warn_once(f"graphs with the op StackedLstmCudnn cannot be imported: {problem}")
