"""What a task is: its rows, prompt, answers and metric."""
