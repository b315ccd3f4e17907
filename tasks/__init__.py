"""What may be asked for: the tasks."""
