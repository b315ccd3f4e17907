"""docs/producing.md, "When nothing rings": a mistake raises nothing, and looks as the page says."""

import asyncio
import functools
import json
import os
import signal
import time
from typing import Any, Final

import pytest
import redis
from celery import Celery
from celery.exceptions import TimeoutError as NoResult
from voicecode_client import AsyncClient

from config import names
from config.celeryconfig import PUBLISH_OPTIONS
from tests.support.workers import ROOT
from worker.embedded.server import Server

PAGE: Final = (ROOT / "docs" / "producing.md").read_text("utf-8")
ARGS: Final = ["13800138000", "0042"]


def app_of(url: str, *, transport: dict[str, Any] | None = None, **conf: Any) -> Celery:
    app = Celery("web", broker=url, set_as_current=False)
    app.conf.update(
        task_publish_retry=False, broker_transport_options={**PUBLISH_OPTIONS, **(transport or {})}, **conf
    )
    return app


def lists(client: redis.Redis) -> set[str]:
    scanned: Any = client.scan_iter(_type="list")
    return {str(name) for name in scanned}


def test_without_queue_the_code_lies_on_the_list_celery(server: Server, redis_client: redis.Redis) -> None:
    with app_of(server.url) as app:
        app.send_task(names.SEND_TASK, args=ARGS)
    assert lists(redis_client) == {"celery"}
    assert ARGS[0] in json.dumps(json.loads(str(redis_client.lindex("celery", 0)))["headers"])  # in clear


def test_a_task_of_ones_own_runs_and_calls_nobody(server: Server, redis_client: redis.Redis) -> None:
    """Its result is a success."""
    app = app_of(server.url, task_always_eager=True)

    @app.task(name=names.SEND_TASK)
    def own(mobile: str, code: str) -> str:
        return f"{len(mobile)} {len(code)}"

    assert own.delay(*ARGS).successful()
    assert lists(redis_client) == set()


@pytest.mark.parametrize(
    ("transport", "options", "name"),
    [
        ({"global_keyprefix": "shop:"}, {}, "shop:voice_codes"),
        ({"sep": "#"}, {"priority": 3}, "voice_codes#3"),
    ],
)
def test_an_option_names_another_list(
    server: Server,
    redis_client: redis.Redis,
    transport: dict[str, Any],
    options: dict[str, Any],
    name: str,
) -> None:
    with app_of(server.url, transport=transport) as app:
        app.send_task(names.SEND_TASK, args=ARGS, queue=names.QUEUE, **options)
    assert lists(redis_client) == {name}


def test_another_database_takes_the_code_without_a_word(server: Server, redis_client: redis.Redis) -> None:
    with app_of(server.url.replace("/0", "/5")) as app:
        app.send_task(names.SEND_TASK, args=ARGS, queue=names.QUEUE)
    assert lists(redis_client) == set()
    with server.client(db=5) as other:
        assert other.llen(names.QUEUE) == 1
        other.flushdb()


def test_eager_mode_does_not_reach_send_task(server: Server, redis_client: redis.Redis) -> None:
    with app_of(server.url, task_always_eager=True) as app, pytest.warns(match="always_eager"):
        app.send_task(names.SEND_TASK, args=ARGS, queue=names.QUEUE)
    assert lists(redis_client) == {names.QUEUE}


def test_nobody_writes_a_result(server: Server) -> None:
    """Without a back end `get` raises; with one it waits for ever."""
    with app_of(server.url) as app, pytest.raises(NotImplementedError):
        app.send_task(names.SEND_TASK, args=ARGS, queue=names.QUEUE).get(timeout=1)
    with app_of(server.url, result_backend=server.url) as app:
        result: Any = app.send_task(names.SEND_TASK, args=ARGS, queue=names.QUEUE)
        with pytest.raises(NoResult):
            result.get(timeout=0.5)
        result.backend.result_consumer.stop()
        result.backend = None  # its end would ask a server that is gone


async def turns(step: Any) -> int:
    """Count the turns of the event loop while something waits for a frozen Redis."""
    waits, count = asyncio.ensure_future(step), 0
    while not waits.done():
        await asyncio.sleep(0.02)
        count += 1
    assert waits.exception() is not None
    return count


def test_asyncio_goes_on_while_redis_is_frozen(server: Server) -> None:
    """By AsyncClient and by `to_thread`; a bare publish holds the loop."""

    async def story() -> list[int]:
        app = app_of(server.url, transport={"socket_timeout": 0.4})
        publish = functools.partial(app.send_task, names.SEND_TASK, args=ARGS, queue=names.QUEUE)
        await asyncio.to_thread(publish)
        client = AsyncClient(server.url, timeout_seconds=0.4)
        await client.status("k")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            counts = [await turns(client.status("k")), await turns(asyncio.to_thread(publish))]
            before = time.monotonic()
            with pytest.raises(Exception, match=r"(?i)time"):
                publish()
            return [*counts, int((time.monotonic() - before) * 100)]
        finally:
            os.kill(server.pid, signal.SIGCONT)
            await client.close()

    by_client, by_thread, held = asyncio.run(story())
    assert by_client > 5
    assert by_thread > 5
    assert held >= 30


MISTAKES: Final = (
    "queue=",
    "@shared_task",
    "another database",
    "global_keyprefix",
    "sep",
    "countdown",
    "task_always_eager",
    "result.get()",
)


def test_the_page_has_each_of_them() -> None:
    section = PAGE.partition("## When nothing rings")[2].partition("\n## ")[0]
    assert [mistake for mistake in MISTAKES if mistake not in section] == []
