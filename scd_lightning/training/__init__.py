"""Everything that trains, on PyTorch Lightning."""
