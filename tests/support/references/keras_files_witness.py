"""A program that loads converted files into Keras and writes what Keras computes with them.

    python tests/support/references/keras_files_witness.py <tf_keras or keras> <folder> [save]

Reads inputs.npz of the folder, by name of a file in the folder its inputs; writes outputs.npz, by the same names the
outputs of the model. A whole model is loaded; weights are loaded into a model built here, whose kind is the file's name
up to the first point or underscore. With "save", it saves the models of `wrapped` there, as .keras and as .h5, and
writes their inputs and outputs to wrapped.npz.
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


def wrapped(keras):
    """Name -> layers of a model whose LSTMs are inside others; and the shape of its inputs."""
    L = keras.layers

    def lstm(units, **options):
        return L.LSTM(units, return_sequences=True, **options)

    def rnn(cell, **options):
        return L.RNN(cell, return_sequences=True, **options)

    inner = keras.Sequential([keras.Input([6, 3]), lstm(4, go_backwards=True, name="inner_lstm")], name="inner")
    second = lstm(4, go_backwards=True, activation="relu")
    return {
        "time_distributed": ([L.TimeDistributed(L.Bidirectional(L.LSTM(4)))], [2, 6, 3]),
        "nested": ([inner, lstm(5)], [6, 3]),
        "cell": ([rnn(L.LSTMCell(4, activation="relu"))], [6, 3]),
        "cells": ([rnn([L.LSTMCell(4), L.LSTMCell(5, recurrent_activation="relu")], go_backwards=True)], [6, 3]),
        "both": ([L.Bidirectional(rnn(L.LSTMCell(4, activation="elu")))], [6, 3]),
        "two": ([L.Bidirectional(lstm(4), backward_layer=second)], [6, 3]),
    }


def save(keras, folder):
    arrays = {}
    for name, (layers, shape) in wrapped(keras).items():
        model = keras.Sequential([keras.Input(shape)] + layers)
        arrays[name + "/x"] = np.random.RandomState(0).standard_normal([2] + shape).astype(np.float32)
        arrays[name + "/y"] = np.asarray(model(arrays[name + "/x"]))
        for suffix in (".keras", ".h5"):
            model.save(os.path.join(folder, name + suffix))
    np.savez(os.path.join(folder, "wrapped.npz"), **arrays)


def main(library, folder, task=None):
    keras = __import__(library)
    if task == "save":
        save(keras, folder)
        return
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
