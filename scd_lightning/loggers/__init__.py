"""Where a job's numbers go: W&B, TensorBoard, and whatever else Lightning can log to."""
