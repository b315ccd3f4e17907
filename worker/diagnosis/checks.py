"""Checks: all of them, in the order in which a person would mend what they find."""

from collections.abc import Iterator

import redis

from config.explain import explain
from config.settings import SettingsError, load
from worker.diagnosis.finding import Finding, fail, ok
from worker.diagnosis.gateway_checks import gateway_checks
from worker.diagnosis.overview import read_overview
from worker.diagnosis.queue_checks import queue_checks
from worker.diagnosis.redis_checks import redis_checks
from worker.diagnosis.room import room_check
from worker.diagnosis.secrecy_checks import secrecy_checks
from worker.store.client import connect

REDIS = "redis"
SETTINGS = "settings"


def run_checks() -> Iterator[Finding]:
    """Yield each finding as soon as it is there. An error becomes a finding and is not raised.

    Without settings nothing else can be asked, without Redis only the gateway.
    """
    problems = explain().problems
    for problem in problems:
        yield fail(SETTINGS, problem, "see docs/settings.md, and voicecode settings")
    try:
        settings = load()
    except SettingsError:
        return
    if not problems:
        yield ok(SETTINGS, "all of them can be used")
    yield from secrecy_checks(settings)
    try:
        with connect(settings) as client:
            yield from redis_checks(client)
            overview = read_overview(client, settings)
            yield room_check(settings, overview)
            yield from queue_checks(client, settings, overview)
    except redis.RedisError as error:
        cure = "look at VOICECODE_BROKER_URL, and whether Redis runs; see docs/operating.md#redis-away"
        yield fail(
            REDIS, f"cannot be reached, or refuses the command: {str(error).partition(chr(10))[0]}", cure
        )
    yield from gateway_checks(settings)
