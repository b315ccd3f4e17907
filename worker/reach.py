"""Reach: a step of delivery that needs Redis before anything is recorded."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from config.names import Event
from worker.store.availability import RedisUnavailable

T = TypeVar("T")
_REACH_PAUSES_SECONDS: Final = (0.2, 0.8)
log = structlog.get_logger("voicecode.delivery")


class Unfinished(Exception):  # noqa: N818 - a state of the message, not a mistake
    """Nothing was recorded for the message: it must be neither acked nor rejected.

    `soon`: give it back to the queue as soon as Redis answers. Otherwise it returns to the queue
    after the visibility time-out.
    """

    def __init__(self, cause: str, *, soon: bool = False) -> None:
        super().__init__(cause)
        self.soon = soon


def reach(step: Callable[[], T]) -> T:
    """Run a step before which nothing is recorded. Raises Unfinished if Redis stays away.

    After a lost connection or a new master the step is tried twice more, because the phone
    should ring within seconds. Scripts may run twice.
    """
    for pause_seconds in (*_REACH_PAUSES_SECONDS, None):
        try:
            return step()
        except RedisUnavailable as error:
            if error.full or pause_seconds is None:
                log.warning(Event.MESSAGE_LEFT, cause=str(error), alert="warn", runbook="redis-away")
                raise Unfinished(str(error), soon=error.lost) from error
            time.sleep(pause_seconds)
    raise AssertionError
