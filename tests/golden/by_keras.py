"""Writes the golden files of Keras 2 and 3."""

import numpy as np
import tensorflow as tf

from golden.files import BATCH, INPUT, TIME, UNITS, numbered, path, random_state


def tf_keras():
    """Models of Keras 2, in tf_keras/; `write` describes them.

    Python 3.11, pip install "tensorflow==2.21.*" "tf_keras==2.21.*"
    """
    import tf_keras as keras

    formats = {
        ".h5": keras.Model.save,
        "_weights.h5": keras.Model.save_weights,
        ".weights.h5": keras.Model.save_weights,
        ".keras": keras.Model.save,
    }
    write(keras, "tf_keras", formats, lambda variable: variable)


def keras_3():
    """Models of Keras 3, in keras_3/; `write` describes them.

    Python 3.11, pip install "tensorflow==2.21.*" "keras==3.15.*"
    """
    import keras

    formats = {".h5": keras.Model.save, ".weights.h5": keras.Model.save_weights, ".keras": keras.Model.save}
    write(keras, "keras_3", formats, lambda variable: variable.value)


def write(keras, folder, formats, tensor_of):
    """Writes models of two LSTM layers between two Dense layers in all formats of the library, and network.npz.

    The archive has `<model>/inputs`, /outputs, /d_outputs (the gradient of a loss) and /gradient/inputs. For each layer
    it has `<model>/<layer>/inputs`, /outputs, /weights/0 and so on (get_weights()), /gradient/0 and so on. LSTM layers
    also have /state/0 and so on (in the order of Keras: h, c; forward before backward).

    Args:
      keras: the library.
      folder: folder of the files.
      formats: ending of a file's name -> function of (model, path) that writes it.
      tensor_of: function from a variable of the library to a variable of TensorFlow.
    """

    def lstm(units, **options):
        return keras.layers.LSTM(units, return_sequences=True, **options)

    lstms = {
        "stacked": lambda **o: [lstm(units, **o) for units in UNITS],
        "no_bias": lambda **o: [lstm(units, use_bias=False, **o) for units in UNITS],
        "bidirectional": lambda **o: [keras.layers.Bidirectional(lstm(UNITS[0], **o)), lstm(UNITS[1], **o)],
    }
    archive = {}
    for name, make in lstms.items():
        keras.backend.clear_session()
        random = random_state(name)
        first, last = keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(2)
        model = keras.Sequential([keras.Input((TIME, INPUT)), first] + make() + [last])
        model.set_weights([0.5 * random.randn(*array.shape) for array in model.get_weights()])
        for suffix, save in formats.items():
            save(model, path(folder, name + suffix))
        results = computed(model, make(return_state=True), random, tensor_of)
        archive.update({f"{name}/{key}": np.asarray(array) for key, array in results.items()})
    np.savez_compressed(path(folder, "network.npz"), **archive)


def computed(model, copies, random, tensor_of):
    """key -> array of one model; `copies` are LSTM layers like those of the model that return their states."""
    with tf.GradientTape() as tape:
        values = [tf.constant(random.randn(BATCH, TIME, INPUT), tf.float32)]
        tape.watch(values)
        for layer in model.layers:
            values.append(layer(values[-1]))
    d_outputs = tf.constant(random.randn(*values[-1].shape), tf.float32)
    variables = [[tensor_of(variable) for variable in layer.trainable_variables] for layer in model.layers]
    d_inputs, d_variables = tape.gradient(values[-1], [values[0], variables], output_gradients=d_outputs)
    results = {"inputs": values[0], "outputs": values[-1], "d_outputs": d_outputs, "gradient/inputs": d_inputs}
    for layer, below, value, gradients in zip(model.layers, values, values[1:], d_variables):
        results.update({layer.name + "/inputs": below, layer.name + "/outputs": value})
        results.update(numbered(layer.name + "/weights", layer.get_weights()))
        results.update(numbered(layer.name + "/gradient", gradients))
    for layer, below, copy in zip(model.layers[1:-1], values[1:], copies):
        copy.build(below.shape)
        copy.set_weights(layer.get_weights())
        results.update(numbered(layer.name + "/state", copy(below)[1:]))
    return results
