"""The activations that the compiled kernels have, for the engine `native` and for `stacked_lstm.runtime`."""

# In the order of `Activation` in engines/native/lstm.h.
ACTIVATIONS = ("tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_6", "relu", "linear")
