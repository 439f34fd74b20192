"""What is in the store, which runs use it, and what can go; none of it needs torch."""
