"""The process that builds the network of a task in Keras 3, with the weights of an .npz file, and exports it.

It reads a request, a file of JSON: `task`, `npz` (a file of `export.npz`), `pixels` (mean and deviation), `shapes`
(input -> shape of one example), `sizes` (batch sizes of TFLite files) and `folder`. It prints as JSON the files that
Keras' own exporters wrote, format -> batch size -> path, and why the others failed, format -> text.
"""

import json
import os
import sys

import numpy as np


def arrays_of(path):
    """(weights of each LSTM layer in Keras' form, the other arrays by their names)."""
    from stacked_lstm import layouts

    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    layers = []
    while f"layer_{len(layers) + 1}/Wf" in arrays:
        scope = f"layer_{len(layers) + 1}/"
        layer = {name.replace(scope, ""): array for name, array in arrays.items() if name.startswith(scope)}
        layers.append(list(layouts.pack(layer, "keras").values()))
    others = {name.replace("other_arrays/", ""): array for name, array in arrays.items() if name.startswith("other")}
    return layers, others


def build(request, batch_size):
    """The network of the task. `batch_size` is None for any."""
    import keras

    lstm_weights, arrays = arrays_of(request["npz"])
    settings = []

    def apply(layer, x, *weights):
        y = layer(x)
        settings.append((layer, weights))
        return y

    def dense(x, scope, activation=None):
        weights = arrays[f"{scope}/W"], arrays[f"{scope}/b"]
        return apply(keras.layers.Dense(weights[1].size, activation), x, *weights)

    def lstm(x, return_sequences, mask=None):
        for k, weights in enumerate(lstm_weights):
            is_last = k == len(lstm_weights) - 1
            layer = keras.layers.LSTM(len(weights[1]), return_sequences=return_sequences or not is_last)
            settings.append((layer, weights))
            x = layer(x, mask=mask)
        return x

    def titles(pieces):  # Piece 0 is the padding, so that the mask says what the lengths say.
        ops, table = keras.ops, arrays["embedding"]
        is_piece = ops.expand_dims(ops.cast(pieces > 0, "float32"), -1)
        words = ops.sum(apply(keras.layers.Embedding(*table.shape), pieces, table) * is_piece, axis=2)
        is_word = ops.max(is_piece, axis=2)
        outputs = lstm(words, True, ops.any(pieces > 0, axis=2))
        counts = ops.sum(is_word, axis=1)
        mean = ops.sum(outputs * is_word, axis=1) / ops.maximum(counts, 1.0)
        largest = ops.max(outputs + (is_word - 1) * 1e9, axis=1) * ops.minimum(counts, 1.0)
        return dense(ops.concatenate([mean, largest], axis=1), "dense", "softmax")

    name = {"titles": "sequences", "fashion_mnist": "images", "forecast": "inputs"}[request["task"]]
    dtype = {"sequences": "int32", "images": "uint8", "inputs": "float32"}[name]
    x = keras.Input(request["shapes"][name], batch_size, dtype=dtype, name=name)
    if name == "sequences":
        y = titles(x)
    elif name == "images":
        mean, deviation = request["pixels"]
        features = lstm(keras.layers.Rescaling(1 / deviation, -mean / deviation)(x), False)
        y = dense(dense(features, "dense", "relu"), "dense_1", "softmax")
    else:
        y = dense(lstm(x, True), "dense")
    model = keras.Model(x, y)
    for layer, weights in settings:
        layer.set_weights(weights)
    model(np.zeros([batch_size or 1, *request["shapes"][name]], dtype))  # The exporter for ONNX wants a call.
    return model


def saved_model(request):
    path = os.path.join(request["folder"], "keras")
    build(request, None).export(path, verbose=False)
    return {size: path for size in request["sizes"]}


def onnx(request):
    path = os.path.join(request["folder"], "keras.onnx")
    build(request, None).export(path, format="onnx", verbose=False)
    return {size: path for size in request["sizes"]}


def tflite(request):
    import tensorflow as tf

    paths = {}
    for size in request["sizes"]:
        paths[size] = os.path.join(request["folder"], f"keras_{size}.tflite")
        content = tf.lite.TFLiteConverter.from_keras_model(build(request, size)).convert()
        with open(paths[size], "wb") as file:
            file.write(content)
    return paths


EXPORTERS = {"saved_model": saved_model, "onnx": onnx, "tflite": tflite}


def main(request):
    """Writes the files; returns them, and what failed."""
    files, failures = {}, {}
    for name, exporter in EXPORTERS.items():
        try:
            files[name] = exporter(request)
        except Exception as error:  # Each exporter has errors of its own.
            lines = [line for line in str(error).splitlines() if line.strip()] or [""]
            failures[name] = f"{type(error).__name__}: {lines[0][:200]}"
    return {"files": files, "failures": failures}


if __name__ == "__main__":
    with open(sys.argv[1]) as request_file:
        request = json.load(request_file)
    print(json.dumps(main(request)))
