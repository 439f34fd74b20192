"""Scheduled checkpoint distillation with adaptive weighting, on PyTorch Lightning."""

__version__ = "0.1.0"
