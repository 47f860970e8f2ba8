"""The loops that run a cell over time, and the choice between engines and TensorFlow's own loop."""
