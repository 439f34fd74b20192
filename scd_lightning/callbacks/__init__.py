"""Lightning callbacks of the method."""
