"""Atomic, verified, safetensors-only checkpoints."""
