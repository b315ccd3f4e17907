"""What may vary: settings, names, the table of replies, logs.

It imports none of our other packages, and reads nothing but the environment and its files.
"""
