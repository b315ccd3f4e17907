"""Erasure: takes a person out of everything that Redis and the spill directory hold.

1. `erasure`   one run, for a number or for a key
2. `person`    which records are a number's
3. `messages`, `files`   what is not in a record: messages in the queue, spill and export files
"""

from worker.erasure.erasure import Erased, Erasure

__all__ = ["Erased", "Erasure"]
