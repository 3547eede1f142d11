"""The command line: one command a file, all printing in ``show.py``."""
