"""The cells that compute a step themselves, one file for each kind."""
