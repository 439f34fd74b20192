"""Secrets, and how they are kept out of all that a run prints, writes and sends: `cleaning.py` has the one function."""
