"""Task metrics as torchmetrics."""
