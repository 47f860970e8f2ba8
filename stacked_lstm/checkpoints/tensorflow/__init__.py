"""Checkpoints of TensorFlow: those of StackedLSTM, and of TensorFlow 1's cells."""
