"""Atomic, verified, safetensors-only checkpoints."""

from scd_lightning.checkpoints.store import CheckpointEntry, CheckpointStore

__all__ = ["CheckpointEntry", "CheckpointStore"]
