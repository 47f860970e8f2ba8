"""TFLite files for fixed sizes. The layers are loops, which TFLite only converts from control flow v2."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm.compat import control_flow_v2, tf
from stacked_lstm.export import graph_nodes
from stacked_lstm.export.frozen import Frozen
from stacked_lstm.export.portable import inference_definition

# Value of `quantize` -> the dtype of the weights. None: 8 bits.
_QUANTIZED = {"float16": tf.float16, "dynamic_range": None}


def save(frozen: Frozen, path: str, example: Mapping[str, np.ndarray], quantize: str | None = None) -> None:
    """Writes a .tflite file for inputs of the shapes of `example`."""
    with control_flow_v2():
        definition = _without_minimum(inference_definition(_with_sizes(frozen, example)))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        inputs, outputs = (
            [graph.get_tensor_by_name(f"{spec.name}:0") for spec in specs] for specs in (frozen.inputs, frozen.outputs)
        )
        converter = tf.lite.TFLiteConverter(definition, inputs, outputs)
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            dtype = _QUANTIZED[quantize]
            converter.target_spec.supported_types = [] if dtype is None else [dtype]
        content = _convert(converter)
    with open(path, "wb") as file:
        file.write(content)


def _convert(converter: Any) -> bytes:
    try:
        content: bytes = converter.convert()
    except Exception as error:  # The class of TensorFlow's converter is private.
        ops = sorted(set(re.findall(r"'tf\.(\w+)' op", str(error))))
        message = f"the ops {', '.join(ops)}" if ops else next(iter(str(error).splitlines()), repr(error))
        raise ValueError(f"export.write: expected ops that TFLite has, got {message}") from error
    return content


def _with_sizes(frozen: Frozen, example: Mapping[str, np.ndarray]) -> Frozen:
    """The graph with the sizes that tensors have for `example` in place of unknown ones."""
    names = [spec.name for call in frozen.calls for spec in call.inputs]
    with tf.Graph().as_default():
        tf.import_graph_def(frozen.definition, name="")
        with tf.Session() as session:
            values = session.run(dict(zip(names, names)), {f"{name}:0": array for name, array in example.items()})
    sizes = {name: list(value.shape) for name, value in values.items()}
    calls = [
        call._replace(inputs=[spec._replace(shape=sizes[spec.name]) for spec in call.inputs]) for call in frozen.calls
    ]
    definition = tf.GraphDef()
    definition.CopyFrom(frozen.definition)
    for node in definition.node:
        if node.name in example:
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(example[node.name].shape).as_proto())
    return frozen._replace(definition=definition, calls=calls)


def _without_minimum(definition: Any) -> Any:
    """The graph with -max(-a, -b) in place of min(a, b) of integers.

    The converter turns min(max(a, 0), 6), as of lengths and 6 steps, into Relu6, which TFLite has for floats only.
    """
    new = tf.GraphDef()
    new.CopyFrom(definition)
    del new.node[:]
    for node in definition.node:
        dtype = tf.as_dtype(node.attr["T"].type) if node.op == "Minimum" else tf.float32
        if dtype.is_integer:
            negatives = [f"{node.name}/negative_{k}" for k in range(2)]
            for name, source in zip(negatives, node.input):
                new.node.append(graph_nodes.op("Neg", name, [source], dtype))
            new.node.append(graph_nodes.op("Maximum", f"{node.name}/maximum", negatives, dtype))
            new.node.append(graph_nodes.op("Neg", node.name, [f"{node.name}/maximum", *node.input[2:]], dtype))
        else:
            new.node.append(node)
    return new


def run(path: str, example: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Runs the model in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], example[details["name"]])
    interpreter.invoke()
    places = {details["name"]: details["index"] for details in interpreter.get_output_details()}
    return {name: interpreter.get_tensor(places[name]) for name in outputs}
