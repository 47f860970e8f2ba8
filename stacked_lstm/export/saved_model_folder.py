"""SavedModels with one signature, as TensorFlow Serving and `tf.saved_model.load` read them."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.export.frozen import Frozen
from stacked_lstm.export.portable import portable_definition

SIGNATURE = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def save(frozen: Frozen, path: str, example: Mapping[str, np.ndarray]) -> None:
    """Writes a folder."""
    del example
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(portable_definition(frozen), name="")
        inputs, outputs = (
            {spec.name: tf.saved_model.build_tensor_info(graph.get_tensor_by_name(f"{spec.name}:0")) for spec in specs}
            for specs in (frozen.inputs, frozen.outputs)
        )
        method = tf.saved_model.signature_constants.PREDICT_METHOD_NAME
        signature = tf.saved_model.build_signature_def(inputs, outputs, method)
        builder = tf.saved_model.Builder(path)
        with tf.Session() as session:
            builder.add_meta_graph_and_variables(
                session, [tf.saved_model.tag_constants.SERVING], {SIGNATURE: signature}, strip_default_attrs=True
            )
            builder.save()


def run(path: str, example: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Runs the signature."""
    with tf.Graph().as_default(), tf.Session() as session:
        model: Any = tf.saved_model.load(session, [tf.saved_model.tag_constants.SERVING], path)
        signature = model.signature_def[SIGNATURE]
        feeds = {signature.inputs[name].name: array for name, array in example.items()}
        results: dict[str, np.ndarray] = session.run({name: signature.outputs[name].name for name in outputs}, feeds)
        return results
