"""Which teacher checkpoint a stage uses."""
