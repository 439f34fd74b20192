"""Divergences, weights and the objective, as pure functions on tensors."""
