"""Training on a task. `settings.py` reads the flags, `experiment.py` makes one run, `ablations/` makes several."""
