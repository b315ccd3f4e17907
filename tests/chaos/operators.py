"""Operators: threads that do what people do while everything breaks."""

import random
import threading
from typing import Any

import redis

from config import names
from config.replies import Mends
from tests.chaos.cluster import Cluster
from worker.failure_queue import Choice, FailureQueue
from worker.sending import State
from worker.sending.account import Account
from worker.store.availability import RedisUnavailable
from worker.store.client import connect


class Operator(threading.Thread):
    """Does something now and then until `stop`, whatever is broken meanwhile."""

    def __init__(self, cluster: Cluster, pause_seconds: float) -> None:
        super().__init__(daemon=True)
        self._pause_seconds = pause_seconds
        self._cluster = cluster
        self._options = cluster.options
        self._over = threading.Event()
        self._chance = random.Random(cluster.options.seed)
        self._client = connect(cluster.settings(), retries=0)
        self._queue = FailureQueue(self._client, cluster.settings(), operator="chaos")

    def run(self) -> None:
        """Act until `stop`."""
        while not self._over.wait(self._pause_seconds):
            try:
                self._act()
            except (RedisUnavailable, redis.RedisError, OSError):
                continue

    def _act(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()
        self._client.close()


class Replayer(Operator):
    """Replays dead letters at random while everything breaks."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, 1 / cluster.options.replays_per_second)

    def _act(self) -> None:
        found: Any = self._client.zrandmember(names.DEAD)
        if found:
            life = self._options.life_seconds if self._chance.random() < 0.7 else None
            ambiguous = self._chance.random() < 0.5
            list(self._queue.replay([found], Choice(ambiguous=ambiguous, life_seconds=life)))


class Resumer(Operator):
    """Resumes what only a person may resume, once it is mended, and replays what was refused."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, 0.5)
        self._account = Account(self._client, operator="chaos")

    def _act(self) -> None:
        sending = self._account.sending()
        for_a_person = sending.state is State.STOPPED and sending.mends == Mends.PERSON.value
        if not for_a_person or self._cluster.frozen or not self._account.resume("mended"):
            return
        refused: Any = self._client.zrange(f"{names.DEAD_BY_PREFIX}code:{sending.row}", 0, -1)
        list(self._queue.replay(refused, Choice(life_seconds=self._options.life_seconds)))
