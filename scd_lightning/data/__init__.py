"""Rows to prompts and completions, and those to token batches."""
