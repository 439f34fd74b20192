"""Trainings that go on where an interruption ended them."""
