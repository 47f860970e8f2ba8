"""Measurements as tables, as a file and as a picture."""
