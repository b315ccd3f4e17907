"""Console: everything that a page may use, built once."""

import dataclasses
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import jinja2
import redis

from config.replies import Replies
from config.settings import LOOPBACK, Settings
from worker.console.access.people import People
from worker.console.access.sessions import Sessions
from worker.console.access.tries import Tries
from worker.console.access.users import Users
from worker.console.acts.intent import Intents
from worker.console.acts.jobs import Jobs, Watched
from worker.console.samples import EVERY_SECONDS, Latest, Recent, Samples
from worker.console.web import view
from worker.console.web.guard import Hosts
from worker.failure_queue import FailureQueue
from worker.failure_queue.audit import default_operator
from worker.metrics.snapshot import Source
from worker.process.periodic import Periodic
from worker.store.client import connect


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """`token`: that the command prints; None where the console serves other hosts."""

    settings: Settings
    client: redis.Redis
    people: People
    tries: Tries
    intents: Intents
    jobs: Jobs
    watched: Watched
    samples: Samples
    latest: Latest
    recent: Recent
    sampler: Periodic
    templates: jinja2.Environment
    replies: Replies
    hosts: Hosts
    secure: bool
    """Browsers reach it by https."""
    token: str | None
    clock: Callable[[], float]

    @classmethod
    def build(cls, settings: Settings, *, host: str, port: int) -> Self:
        """Build one that is going to listen there. It talks to Redis at its first request."""
        client = connect(settings, retries=0)
        token = secrets.token_urlsafe(24) if host in LOOPBACK else None
        proxy = settings.console_proxy_secret
        latest, samples = Latest(Source(client, settings), time.monotonic), Samples(client)
        intents = Intents(client)
        sampler = Periodic("console-samples", lambda: _sample(samples, latest), EVERY_SECONDS / 3)
        url = urlsplit(settings.console_url or "")
        return cls(
            settings=settings,
            client=client,
            people=People(
                Users(client),
                Sessions(client, settings.console_session_seconds),
                token=token,
                owner=settings.operator or default_operator(),
                proxy_secret=proxy.get_secret_value() if proxy else None,
            ),
            tries=Tries(client),
            intents=intents,
            jobs=Jobs(intents, lambda who: _open(client, settings, who), Path(tempfile.mkdtemp())),
            watched=Watched(),
            samples=samples,
            latest=latest,
            recent=Recent(time.monotonic),
            sampler=sampler,
            templates=view.environment(),
            replies=Replies(settings.reply_overrides),
            hosts=Hosts(allowed=_hosts(host, port, url.netloc.lower())),
            secure=url.scheme == "https",
            token=token,
            clock=time.time,
        )

    def queue(self, operator: str) -> FailureQueue:
        """Open the failure queue in somebody's name."""
        return _open(self.client, self.settings, operator)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. With the prefix, browsers take it from no other host."""
        return "__Host-voicecode" if self.secure else "voicecode_session"

    def start(self) -> None:
        """Begin to take samples."""
        self.sampler.start()

    def stop(self) -> None:
        """End threads, and delete exports."""
        self.sampler.stop(1.0)
        self.jobs.stop()
        self.watched.stop()
        shutil.rmtree(self.jobs.folder, ignore_errors=True)


def _open(client: redis.Redis, settings: Settings, operator: str) -> FailureQueue:
    return FailureQueue(client, settings, operator=operator)


def _sample(samples: Samples, latest: Latest) -> None:
    try:
        samples.take(latest.read)
    except redis.RedisError:
        return  # the pages say so; the curve gets a hole


def _hosts(host: str, port: int, own: str) -> frozenset[str]:
    here = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in LOOPBACK}
    return frozenset({own} - {""}) | (here if host in LOOPBACK else set())
