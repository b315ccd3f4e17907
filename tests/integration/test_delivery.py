"""What becomes of a message if Redis does not answer, or refuses."""

from typing import Any

import pytest
import redis

from config import names
from config.replies import Replies
from config.settings import load
from worker.delivery import Delivery
from worker.embedded.server import Server
from worker.envelope import Envelope
from worker.ledger import Ledger
from worker.ledger.outcome_writer import OutcomeWriter
from worker.message import VoiceCode
from worker.reach import Unfinished
from worker.reply import Reply
from worker.store.availability import RedisAvailability
from worker.store.client import connect


class NobodyCalls:
    """A gateway that must not be reached."""

    def submit(self, code: VoiceCode, *, deadline: float) -> Reply:
        raise AssertionError((code.key, deadline))


def unfinished(url: str) -> Unfinished:
    settings = load(_env_file=None, broker_url=url)
    client = connect(settings)
    ledger = Ledger(client, settings, RedisAvailability(0, lambda: 0.0))
    parts: dict[str, Any] = {
        "gateway": NobodyCalls(),
        "replies": Replies(),
        "outcome_writer": OutcomeWriter(0),
        "worker": "w",
    }
    delivery = Delivery(settings=settings, ledger=ledger, **parts)
    with pytest.raises(Unfinished) as raised:
        delivery.send(["13800138000", "0042"], {"key": "k"}, Envelope(task_id="t"))
    client.close()
    return raised.value


def test_a_message_goes_back_soon_where_redis_did_not_answer() -> None:
    assert unfinished("redis://127.0.0.1:1/0").soon


def test_a_message_waits_where_redis_answered_and_refused(server: Server, redis_client: redis.Redis) -> None:
    """It would be refused again at once, and again: a hot loop over one broken record."""
    redis_client.set(names.RECORD_PREFIX + "k", "not a record")
    assert not unfinished(server.url).soon
