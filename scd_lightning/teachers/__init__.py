"""Where a stage's teacher outputs come from."""
