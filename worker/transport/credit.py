"""Credit: which messages this worker holds, and which of them a thread has begun."""

from collections.abc import Callable


class Credit:
    """Shared by the event loop and the pool's threads. Each step is one atomic operation on a set.

    It outlives connections: a message from an earlier one takes a slot while a thread works on it.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._begun: set[str] = set()
        self._starved = False
        self._paused = False
        self._most: int | None = None
        self.give_back: Callable[[list[str]], None] = lambda _tags: None
        """Called with the tags of messages that nobody has begun with, when fetching is paused."""
        self.wake: Callable[[], None] = lambda: None
        """Called by a thread that frees a slot while the event loop waits for one."""

    def free(self, limit: int) -> int:
        """Return how many of `limit` slots are free. If none is, the next one wakes the loop."""
        # Set before counting: a slot freed in between wakes the loop in vain, but is not missed.
        self._starved = True
        free = 0 if self._paused else self.usable(limit) - len(self._taken)
        if free > 0:
            self._starved = False
        return free

    def usable(self, limit: int) -> int:
        """Return how many of `limit` slots may be used."""
        return limit if self._most is None else min(limit, self._most)

    @property
    def paused(self) -> bool:
        """Whether nothing is fetched though slots are free."""
        return self._paused

    def pause(self) -> None:
        """Fetch nothing more, and give back what no thread has begun with."""
        if not self._paused:
            self._paused = True
            self.give_back(self.release_waiting())

    def unpause(self) -> None:
        """Fetch again."""
        if self._paused:
            self._paused = False
            self.wake()

    def at_most(self, slots: int | None) -> None:
        """Use no more than so many slots; None: all of them."""
        if self._most != slots:
            self._most = slots
            self.wake()

    def take(self, tag: str) -> None:
        """Note that a message was fetched."""
        self._taken.add(tag)

    def begin(self, tag: str) -> None:
        """Note that a thread has begun the message: from now on it is not given back."""
        self._begun.add(tag)

    def release(self, tag: str) -> None:
        """Forget a message that is finished or left in `unacked`."""
        self._taken.discard(tag)
        self._begun.discard(tag)
        if self._starved:
            self.wake()

    def release_waiting(self) -> list[str]:
        """Release the messages that no thread has begun, and return their tags."""
        tags = [tag for tag in list(self._taken) if tag not in self._begun]
        self._taken.difference_update(tags)
        return tags
