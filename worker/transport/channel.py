"""Channel: kombu's for Redis, with a fetch that cannot lose a message and with acks in batches.

kombu pops a message and writes `unacked` afterwards. A worker killed in between loses the message.

1. One script moves messages from the list into `unacked`, as many as there is credit for.
2. When the list is empty, `BLMOVE queue queue RIGHT RIGHT` waits for it and pops nothing.
3. Acks are handed to `Acks`. Upkeep sweeps `unacked` (`worker/transport/sweep.lua`).

The message format and the connections stay kombu's.
"""

import itertools
import json
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, ClassVar, Final

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from config import names
from config.names import Event
from worker.message import RAW_CAP_BYTES
from worker.store import keys, scripts
from worker.store.digests import Digests
from worker.transport.credit import Credit
from worker.transport.qos import QoS, TakesAcks
from worker.transport.unreadable import RAW, cause_of, fault_of_message

log = structlog.get_logger("voicecode.transport")

_FULL_PAUSE_SECONDS: Final = 1.0
_HINTS_PAUSE_SECONDS: Final = 0.05
"""While hints wait for room, the queue is watched for no longer than this."""
_FETCH: Final = "transport/fetch"
_bind: Final = scripts.Parameters.of(_FETCH).bind


class FetchingChannel(redis.Channel):
    """Sends a fetch or a wait instead of kombu's BRPOP, on the same connection and event loop."""

    QoS = QoS
    acks: TakesAcks
    credit: Credit
    heartbeat: Callable[[], None]
    """Called for each answer of the server: the worker consumes."""
    on_unreadable: Callable[[str, bytes, str], None]
    """Called with tag, bytes and cause of a message that Celery cannot take."""
    instance: str
    digests: Digests
    from_transport_options = (
        *redis.Channel.from_transport_options,
        "acks",
        "credit",
        "heartbeat",
        "on_unreadable",
        "instance",
        "digests",
    )

    _numbers: ClassVar = itertools.count(1)
    _unconfirmed: ClassVar[str | None] = None
    """Token of a fetch whose answer did not arrive. It outlives the channel."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._source = scripts.source(_FETCH)
        self._sha = self.client.script_load(self._source)
        self._asked = 0
        self._list_is_empty = False
        self._hints_wait = False
        self._resume_at = 0.0

    def _brpop_start(self, timeout: float | None = None) -> None:
        if time.monotonic() < self._resume_at:
            return
        connection = self.client.connection
        self._in_poll = connection
        self._brpop_sent_at = time.monotonic()
        if self._list_is_empty:
            self._asked = 0
            wait = _HINTS_PAUSE_SECONDS if self._hints_wait else timeout or self.brpop_timeout
            connection.send_command("BLMOVE", names.QUEUE, names.QUEUE, "RIGHT", "RIGHT", wait)
            return
        self._asked = max(1, self.qos.credit())
        again = FetchingChannel._unconfirmed
        token = again or f"{self.instance}/{next(self._numbers)}"
        FetchingChannel._unconfirmed = token
        arguments = _bind(
            clock_offset=0,
            version=names.RECORD_VERSION,
            prefix=names.RECORD_PREFIX,
            room=self._asked,
            token=token,
            repeated="1" if again else "0",
            raw_cap=RAW_CAP_BYTES,
            salt=self.digests.salt,
            reserve=self.qos.reserve(),
        )
        connection.send_command("EVALSHA", self._sha, len(keys.FETCH), *keys.FETCH, *arguments)

    def _brpop_read(self, **options: Any) -> bool:
        asked = self._asked
        try:
            answer = self._answer("EVALSHA" if asked else "BLMOVE", options)
        finally:
            self._in_poll = None
        self.heartbeat()
        if not asked:
            self._list_is_empty = answer is None and not self._hints_wait
            raise Empty
        FetchingChannel._unconfirmed = None
        hints_wait, *fetched = answer
        self._hints_wait = bool(hints_wait)
        self._list_is_empty = len(fetched) < 2 * asked
        for tag, message in zip(*[iter(fetched)] * 2, strict=True):
            self._hand_over(tag.decode(), message)
        if not fetched:
            raise Empty
        return True

    def _answer(self, command: str, options: dict[str, Any]) -> Any:
        connection = self.client.connection
        try:
            return self.client.parse_response(connection, command, **options)
        except NoScriptError:
            # Another server, or SCRIPT FLUSH. Nothing was executed.
            self._sha = self._create_client().script_load(self._source)
            raise Empty from None
        except ResponseError as error:
            # redis-py recognises OOM at the start only; Redis 6.2 has it in the middle of a
            # script's error.
            if not isinstance(error, OutOfMemoryError) and "OOM" not in str(error):
                # The master may have been demoted: Celery has to connect again, through Sentinel if
                # there is one.
                connection.disconnect()
                raise RedisConnectionError(str(error)) from error
            FetchingChannel._unconfirmed = None
            self._resume_at = time.monotonic() + _FULL_PAUSE_SECONDS
            log.error(  # noqa: TRY400 - the cause says it all
                Event.REDIS_FULL, cause=str(error), alert="page", runbook="redis-full"
            )
            raise Empty from None
        except self.connection_errors:
            connection.disconnect()
            raise

    def _hand_over(self, tag: str, message: bytes) -> None:
        """Give a message to Celery. One that Celery cannot take does not end the worker."""
        try:
            payload = json.loads(message)
            payload["properties"]["delivery_tag"] = tag
            payload[RAW] = message
            self.connection._deliver(payload, names.QUEUE)  # noqa: SLF001 - as kombu's own channel does
        except self.connection_errors:
            raise
        except Exception as error:
            if fault_of_message(error):
                self.on_unreadable(tag, message, cause_of(error))
                return
            log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
            self.qos.leave(tag)

    def close(self) -> None:
        """Drop a wait, or read the answer to a fetch and give its messages back."""
        if self._in_poll and not self._asked:
            self._in_poll.disconnect()
            self._in_poll = None
        elif self._in_poll:
            try:
                answer = self._answer("EVALSHA", {})
                self.acks.give_back([tag.decode() for tag in answer[1::2]])
                FetchingChannel._unconfirmed = None
            except (*self.connection_errors, Empty, ResponseError):
                pass
            self._in_poll = None
        super().close()


class FetchingSentinelChannel(FetchingChannel, redis.SentinelChannel):
    """The same, with the master that Sentinel names."""

    from_transport_options = (
        *redis.SentinelChannel.from_transport_options,
        *FetchingChannel.from_transport_options[-6:],
    )


class Transport(redis.Transport):
    """For redis://, rediss:// and Unix sockets."""

    Channel = FetchingChannel

    def create_channel(self, connection: Any) -> Any:
        """Return a channel: kombu's own where there are no components, as in `celery inspect`."""
        if not _has_components(self):
            self.Channel = redis.Channel
        return super().create_channel(connection)


class SentinelTransport(redis.SentinelTransport):
    """For sentinel://."""

    Channel = FetchingSentinelChannel

    def create_channel(self, connection: Any) -> Any:
        """Return a channel: kombu's own where there are no components."""
        if not _has_components(self):
            self.Channel = redis.SentinelChannel
        return super().create_channel(connection)


def _has_components(transport: Any) -> bool:
    return "acks" in transport.client.transport_options


def install() -> None:
    """Make kombu use these transports in this process for redis://, rediss:// and sentinel://.

    kombu looks its table of names up again for each address of a list; an argument would be lost.
    """
    TRANSPORT_ALIASES.update(
        {
            "redis": "worker.transport.channel:Transport",
            "rediss": "worker.transport.channel:Transport",
            "sentinel": "worker.transport.channel:SentinelTransport",
        }
    )
