"""What run.py and the commands read and say."""
