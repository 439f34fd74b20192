"""Models that other programs fine-tuned: finding their files, reading them, and whether they fit."""
