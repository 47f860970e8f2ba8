"""How the tests run: marks, places, sessions, and the paths and public names of the repository."""
