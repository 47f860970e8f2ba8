"""Training by several processes or devices."""
