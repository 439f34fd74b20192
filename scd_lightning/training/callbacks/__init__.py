"""Lightning callbacks of the trainings."""
