"""The command lines that come with the package: a module each, and `command.py` for the habits that they share."""
