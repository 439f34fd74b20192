"""What a run's saved tables say."""

# What a run leaves in its folder, here so that whoever asks for the names alone loads nothing else.
RESULTS = "results.json"
# In its place, what a run that ended early had until then.
PARTIAL = "partial.json"
PREDICTORS = ("teacher", "anchor", "student")
