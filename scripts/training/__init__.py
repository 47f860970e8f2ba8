"""Training on a task: `settings.py` reads the flags, `experiment.py` is one run, `ablation.py` nine."""
