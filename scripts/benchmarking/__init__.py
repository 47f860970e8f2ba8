"""The benchmark. `contestants.py` lists who takes part, and `processes/worker.py` runs each of them in its own process.

A process imports only what its contestant needs. So PyTorch on a GPU never shares a process with TensorFlow.
"""
