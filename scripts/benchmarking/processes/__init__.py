"""The processes in which contestants run: one for each, or one for all."""
