"""What a search has found."""

# What each of its jobs leaves.
TRIAL = "trial.json"
