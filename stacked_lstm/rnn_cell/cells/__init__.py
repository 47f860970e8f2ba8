"""The cells that compute a step themselves."""
