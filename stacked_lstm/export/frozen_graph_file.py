"""Frozen graphs: a GraphDef whose variables are constants, as TensorFlow's C++, Java and Go read it."""

from __future__ import annotations

from typing import Mapping, Sequence

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.export import graph_nodes
from stacked_lstm.export.frozen import Frozen
from stacked_lstm.export.portable import portable_definition


def save(frozen: Frozen, path: str, example: Mapping[str, np.ndarray]) -> None:
    """Writes a .pb file."""
    del example
    with open(path, "wb") as file:
        file.write(graph_nodes.without_defaults(portable_definition(frozen)).SerializeToString())


def run(path: str, example: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Runs the graph in a session of its own."""
    definition = tf.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default():
        tf.import_graph_def(definition, name="")
        with tf.Session() as session:
            fetches = {name: f"{name}:0" for name in outputs}
            results: dict[str, np.ndarray] = session.run(fetches, {f"{name}:0": a for name, a in example.items()})
            return results
