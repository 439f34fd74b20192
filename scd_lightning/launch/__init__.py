"""The processes of a job and of a sweep: how they start, hear of signals, and end."""
