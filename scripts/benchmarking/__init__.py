"""The benchmark: `contestants.py` is the table of those that take part, each in a process of its own (`worker.py`).

A process imports only what its contestant needs. So PyTorch on a GPU never shares a process with TensorFlow.
"""
