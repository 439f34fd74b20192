"""Exported students in use: asked as they were evaluated, on texts without labels."""
