"""The LSTM layer in TensorFlow: its step, its options, and the form in which engines take it."""
