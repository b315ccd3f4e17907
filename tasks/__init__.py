"""What may be asked for: one file a task."""
