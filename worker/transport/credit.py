"""Credit: which messages are in hand, and which of them a thread has begun with."""

from collections.abc import Callable


class Credit:
    """Shared by the event loop and the pool's threads; each step is one operation on a set, which the interpreter does whole.

    It outlives connections: what an earlier one brought and a thread still works on takes a slot.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._begun: set[str] = set()
        self._starved = False
        self.wake: Callable[[], None] = lambda: None
        """Called by a thread that frees a slot while the loop has none."""

    def free(self, limit: int) -> int:
        """Return how many of `limit` slots are free; where none is, the loop is woken when one comes free."""
        # Said before counting: a slot that comes free in between wakes the loop for nothing, and is not overlooked.
        self._starved = True
        free = limit - len(self._taken)
        if free > 0:
            self._starved = False
        return free

    def take(self, tag: str) -> None:
        """Note that a message was fetched."""
        self._taken.add(tag)

    def begin(self, tag: str) -> None:
        """Note that a thread has begun with it: from now on it is not given back."""
        self._begun.add(tag)

    def release(self, tag: str) -> None:
        """Forget a message that is done with, or left alone."""
        self._taken.discard(tag)
        self._begun.discard(tag)
        if self._starved:
            self.wake()

    def release_waiting(self) -> list[str]:
        """Release what no thread has begun with, and return the tags."""
        tags = [tag for tag in list(self._taken) if tag not in self._begun]
        self._taken.difference_update(tags)
        return tags
