"""Runs: what an operator's actions asked for, how far they came, and what became of their codes.

Each action is a run with a name. It is kept for a week beside the audit trail, which gets a line at
its begin and at its end.
"""

import collections
import contextlib
import dataclasses
import json
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

import redis

from config import names
from worker.failure_queue import audit
from worker.store import scripts

KEPT_SECONDS: Final = 7 * 86_400
_MOST: Final = 1_000
_INDEX: Final = names.RUNS
_LOOK_EVERY: Final = 10
"""A run looks whether somebody cancelled it after so many batches."""


class RunCancelled(Exception):  # noqa: N818 - somebody's decision, not a mistake
    """Somebody cancelled a run while it went on. The text says who."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One action. Times are epoch seconds."""

    run: str
    action: str
    """replay, discard, undo, purge, import, export or cancel."""
    operator: str
    asked: str
    """Filter, choice and pace, or the run that it undoes."""
    planned: int | None
    began_at: float
    ended_at: float | None
    """None while it goes on, or if it died."""
    counts: dict[str, int]
    stopped: str
    """Why it ended early."""

    @property
    def needs_undo(self) -> bool:
        """It is a discard that has ended: it cannot be cancelled any more, but undone."""
        return self.action == "discard" and self.ended_at is not None


class Runs:
    """`client` decodes answers. `audit_entries`: how many lines the trail keeps."""

    def __init__(self, client: redis.Redis, *, operator: str, audit_entries: int) -> None:
        self._client: Any = client
        self._operator = operator
        self._cap = audit_entries

    def begin(self, run: str, action: str, asked: str, *, planned: int | None = None) -> None:
        """Write down what is going to be done. A full Redis takes no note, but lets room be made.

        Raises redis.RedisError.
        """
        seconds, microseconds = self._client.time()
        now = seconds + microseconds / 1e6
        facts = {"action": action, "operator": self._operator, "asked": asked, "began_at": now}
        pipe = self._client.pipeline(transaction=False)
        pipe.hset(key_of(run), mapping=facts | ({} if planned is None else {"planned": planned}))
        pipe.expire(key_of(run), KEPT_SECONDS)
        pipe.zadd(_INDEX, {run: now})
        pipe.zremrangebyscore(_INDEX, "-inf", now - KEPT_SECONDS)
        pipe.zremrangebyrank(_INDEX, 0, -_MOST - 1)
        many = "" if planned is None else f" of {planned}"
        with contextlib.suppress(redis.ResponseError):
            pipe.execute()
            self.line("begin", run, f"{action}{many}: {asked}")

    def end(self, run: str, action: str, counts: Mapping[Any, int], stopped: str = "") -> None:
        """Write down what was done. While Redis is away that is lost; the keys' lines remain."""
        told = ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "nothing"
        facts = {
            "counts": json.dumps({str(name): count for name, count in counts.items()}),
            "stopped": stopped,
        }
        with contextlib.suppress(redis.RedisError):
            facts["ended_at"] = str(float(self._client.time()[0]))
            self._client.hset(key_of(run), mapping=facts)
            self.line("end", run, f"{action}: {told}" + (f"; stopped: {stopped}" if stopped else ""))

    def recorded(
        self,
        run: str,
        action: str,
        asked: str,
        batches: Iterator[collections.Counter[Any]],
        *,
        planned: int | None = None,
    ) -> Generator[collections.Counter[Any], None, None]:
        """Pass batches of counts on, with begin and end written down.

        Raises RunCancelled between two batches.
        """
        self.begin(run, action, asked, planned=planned)
        total: collections.Counter[str] = collections.Counter()
        stopped = "interrupted"
        try:
            for number, counts in enumerate(batches, 1):
                total.update({str(status): count for status, count in counts.items()})
                yield counts
                if number % _LOOK_EVERY == 0:
                    self._heed(run)
            stopped = ""
        except RunCancelled as cancelled:
            stopped = str(cancelled)
            raise
        except Exception as error:
            stopped = getattr(error, "strerror", None) or type(error).__name__
            raise
        finally:
            self.end(run, action, total, stopped)

    def latest(self, limit: int) -> list[Run]:
        """Return the latest runs, newest first."""
        found = [self.get(scripts.text(run)) for run in self._client.zrevrange(_INDEX, 0, limit - 1)]
        return [run for run in found if run is not None]

    def get(self, run: str) -> Run | None:
        """Return a run; None if there is none of this name, or it is too old."""
        facts = self._client.hgetall(key_of(run))
        if not facts.get("began_at"):
            return None
        return Run(
            run=run,
            action=facts["action"],
            operator=facts["operator"],
            asked=facts["asked"],
            planned=int(facts["planned"]) if "planned" in facts else None,
            began_at=float(facts["began_at"]),
            ended_at=float(facts["ended_at"]) if "ended_at" in facts else None,
            counts=json.loads(facts.get("counts", "{}")),
            stopped=facts.get("stopped", ""),
        )

    def cancel(self, run: str) -> None:
        """Have a run that goes on end before its next batch."""
        self._client.hset(key_of(run), "cancelled_by", self._operator)
        self._client.expire(key_of(run), KEPT_SECONDS)

    def cancelled_by(self, run: str) -> str:
        """Return that and by whom a run was cancelled, or an empty text."""
        operator = self._client.hget(key_of(run), "cancelled_by")
        return f"cancelled by {scripts.text(operator)}" if operator else ""

    def _heed(self, run: str) -> None:
        if cancelled := self.cancelled_by(run):
            raise RunCancelled(cancelled)

    def line(self, action: str, run: str, detail: str) -> None:
        """Add a line about a run to the audit trail."""
        audit.write_line(
            self._client, action=action, operator=self._operator, run=run, detail=detail, cap=self._cap
        )


def key_of(run: str) -> str:
    """Return the Redis key of a run's facts."""
    return names.RUN_PREFIX + run


def replayed_by(run: str) -> str:
    """Return the Redis key of the set of keys that a run replayed."""
    return f"{names.RUN_PREFIX}{run}:replayed"
