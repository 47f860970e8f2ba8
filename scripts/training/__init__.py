"""Training on a task: `experiment.py` is one run from data to pictures, `ablation.py` several to compare."""
