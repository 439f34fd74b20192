"""A run's folder: whose it is, for as long as a run lives and afterwards, and how it goes over to another run."""
