"""What Keras computes with files that were converted: run as a program, like `keras_witness.py`.

    python tests/support/keras_files_witness.py <tf_keras or keras> <folder>

Reads inputs.npz of the folder, by name of a file in the folder its inputs; writes outputs.npz, by the same names the
outputs of the model. A whole model is loaded; weights are loaded into a model built here, whose kind is the file's name
up to the first point or underscore.
"""

import os
import sys

import numpy as np

UNITS = [4, 5]


def model_of(keras, kind, input_size):
    """A Sequential model of the kinds of tests/golden/generate.py; "plain" and "unbiased" have the LSTM layers only."""

    def lstm(units):
        use_bias = kind not in ("no", "unbiased")  # As in no_bias.weights.h5.
        return keras.layers.LSTM(units, return_sequences=True, use_bias=use_bias)

    layers = [lstm(units) for units in UNITS]
    if kind == "bidirectional":
        layers[0] = keras.layers.Bidirectional(layers[0])
    if kind not in ("plain", "unbiased"):
        layers = [keras.layers.Dense(4, activation="tanh")] + layers + [keras.layers.Dense(2)]
    return keras.Sequential([keras.Input([None, input_size])] + layers)


def main(library, folder):
    keras = __import__(library)
    found = {}
    for name, x in np.load(os.path.join(folder, "inputs.npz")).items():
        path = os.path.join(folder, name)
        kind = name.split(".")[0].split("_")[0]
        if name.endswith("weights.h5") or kind in ("plain", "unbiased"):
            model = model_of(keras, kind, x.shape[2])
            model.load_weights(path)
        else:
            model = keras.models.load_model(path)
        found[name] = np.asarray(model(x))
    np.savez(os.path.join(folder, "outputs.npz"), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
