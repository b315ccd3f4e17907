"""What may vary: names, settings, the table of replies, logs. Imports nothing of ours and reads only the environment."""
