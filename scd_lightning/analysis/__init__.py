"""What a run's saved tables say."""
