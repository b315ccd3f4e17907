"""QoS, as kombu calls it: how many messages a worker may hold, and what becomes of each."""

from collections.abc import Sequence
from typing import Any, Protocol

from kombu.transport import redis

from worker.sending.slots import reserved
from worker.transport.credit import Credit


class TakesAcks(Protocol):
    """What the transport needs of `worker.transport.unacked.Acks`."""

    def add(self, tag: str) -> None:
        """Take an ack."""

    def give_back(self, tags: Sequence[str]) -> None:
        """Put messages back to the queue."""

    def give_back_soon(self, tag: str) -> None:
        """Put a message back when Redis answers again."""


class QoS(redis.QoS):
    """Counts credit and leaves `unacked` to the scripts. Any thread may call its methods."""

    def credit(self) -> int:
        """Return how many more messages may be fetched."""
        credit: Credit = self.channel.credit
        return credit.free(int(self.prefetch_count))

    def reserve(self) -> int:
        """Return how many free slots hints leave to new codes."""
        credit: Credit = self.channel.credit
        return reserved(credit.usable(int(self.prefetch_count)))

    def can_consume(self) -> bool:
        """Return whether there is credit. A channel that reads no queue needs none."""
        return not self.channel.active_queues or self.credit() > 0

    def append(self, message: Any, delivery_tag: str) -> None:
        """Take a slot. The fetch has already written the message to `unacked`."""
        del message
        self.channel.credit.take(delivery_tag)

    def begin(self, delivery_tag: str) -> None:
        """Note that a thread has begun the message."""
        self.channel.credit.begin(delivery_tag)

    def leave(self, delivery_tag: str) -> None:
        """Free the slot. The message stays in `unacked` until the visibility time-out."""
        self.channel.credit.release(delivery_tag)

    def give_back(self, delivery_tag: str) -> None:
        """Free the slot, and put the message back on the queue as soon as Redis answers."""
        self.channel.acks.give_back_soon(delivery_tag)
        self.channel.credit.release(delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Hand the ack over and free the slot."""
        self.channel.acks.add(delivery_tag)
        self.channel.credit.release(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Put the message back, or ack it: what matters of it has been recorded."""
        if requeue:
            self.channel.acks.give_back([delivery_tag])
            self.channel.credit.release(delivery_tag)
        else:
            self.ack(delivery_tag)

    def restore_visible(self, *_: Any, **__: Any) -> None:
        """Do nothing: upkeep sweeps by the server's clock."""

    def restore_unacked(self, *_: Any, **__: Any) -> list[Any]:
        """Give back messages that were fetched and not begun, when the channel closes."""
        self.channel.acks.give_back(self.channel.credit.release_waiting())
        return []

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Do the same. kombu's own method counts messages that this class does not keep."""
        del stderr
        self._on_collect.cancel()
        self.restore_unacked()
