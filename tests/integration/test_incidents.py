"""One incident, one page: whichever worker meets it, and however often."""

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from config import names
from config.names import Event
from config.settings import Settings
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.embedded.server import Server
from worker.incidents.pager import Pager
from worker.store.client import connect

QUIET: Final = 900.0
Line = dict[str, Any]


@pytest.fixture
def pager(server: Server) -> Iterator[Callable[[], Pager]]:
    """Return what makes a pager, each in a worker of its own."""
    clients: list[Any] = []

    def make(url: str = server.url) -> Pager:
        client = connect(Settings(broker_url=url), retries=0)
        clients.append(client)
        return Pager(client, QUIET)

    yield make
    for client in clients:
        client.close()


def line(pager: Pager, event: str = Event.DOUBLE_CALL, **facts: Any) -> Line:
    return dict(pager(None, "error", {"event": event, "alert": "page", "runbook": "r", **facts}))


def test_the_first_line_of_a_kind_pages_and_the_others_name_its_incident(
    pager: Callable[[], Pager],
) -> None:
    first, second = pager(), pager()
    lines = [line(first), line(first), line(second), line(second)]

    assert [said["alert"] for said in lines] == ["page", "warn", "warn", "warn"]
    assert len({said["incident"] for said in lines}) == 1


def test_lines_of_one_moment_name_one_incident(pager: Callable[[], Pager]) -> None:
    """The first one's thread still waits for Redis, which says when the incident began."""
    one = pager()
    script, asked, answered = one._script, threading.Event(), threading.Event()

    def slow(*args: Any, **arguments: Any) -> Any:
        asked.set()
        answered.wait(LIMIT_SECONDS)
        return script(*args, **{**arguments, "clock_offset": -100})

    one._script = slow  # type: ignore[assignment]
    with futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(line, one)
        asked.wait(LIMIT_SECONDS)
        second = pool.submit(line, one)
        futures.wait([second], timeout=0.2)
        answered.set()
        assert first.result()["incident"] == second.result()["incident"]


def test_another_kind_pages_for_itself(pager: Callable[[], Pager]) -> None:
    """A reply's row is a kind, whatever event tells of it."""
    one = pager()
    assert line(one, Event.ATTEMPT_FINISHED, row="4071")["alert"] == "page"
    assert line(one, Event.DEAD_LETTER_WRITTEN, row="4071")["alert"] == "warn"
    assert line(one, Event.ATTEMPT_FINISHED, row="4072")["alert"] == "page"


def test_the_fleets_own_lines_are_left_alone(pager: Callable[[], Pager]) -> None:
    one = pager()
    said = [line(one, Event.SENDING_STOPPED, row="4051") for _ in range(2)]
    assert [(found["alert"], "incident" in found) for found in said] == [("page", False)] * 2


def test_hosts_that_are_refused_one_after_the_other_page_once(pager: Callable[[], Pager]) -> None:
    said = [line(pager(), Event.WORKER_UNFIT, row="4052") for _ in range(3)]
    assert [found["alert"] for found in said] == ["page", "warn", "warn"]


def test_one_worker_counts_it_once_a_minute_and_one_tells_its_end(pager: Callable[[], Pager]) -> None:
    workers = [pager(), pager(), pager()]
    began = line(workers[0])["incident"]
    for _ in range(4):
        for worker in workers:
            line(worker)
    with capture_logs() as lines:
        for worker in workers:
            worker.clock_offset = 61.0
            worker.look()
        assert [(found["event"], found["incident"]) for found in lines] == [(Event.INCIDENT_LASTS, began)]
        for worker in workers:
            worker.clock_offset = 61.0 + QUIET + 1
            worker._looked_at = float("-inf")
            worker.look()
    (_, ended) = lines
    assert (ended["event"], ended["incident"], ended["count"]) == (Event.INCIDENT_ENDED, began, 13)
    assert line(workers[0])["alert"] == "page"


def test_without_redis_each_worker_pages_once(pager: Callable[..., Pager]) -> None:
    """Rather once too often. When Redis is back the count is told to it, and nobody pages again."""
    one = pager("redis://127.0.0.1:1/0")
    assert [line(one)["alert"] for _ in range(3)] == ["page", "warn", "warn"]
    one._script, one._client = (other := pager())._script, other._client
    with capture_logs() as lines:
        one.look()
    assert lines == []
    assert line(other)["alert"] == "warn"


def test_what_redis_forgot_pages_again(pager: Callable[[], Pager], redis_client: Any) -> None:
    one = pager()
    line(one)
    redis_client.delete(names.INCIDENTS)
    line(one)
    with capture_logs() as lines:
        one.look()
    assert [(found["event"], found["alert"]) for found in lines] == [(Event.INCIDENT_BEGAN, "page")]


def test_a_night_of_unknown_replies_pages_once_on_three_workers(sandbox: Sandbox) -> None:
    """With the fleet's stop switched off, each code would page twice."""
    workers = [sandbox.worker(incident_quiet_seconds=2) for _ in range(3)]
    sandbox.gateway.account("4050")
    keys = sandbox.send_all(60)
    sandbox.wait_state(keys, "dead")

    def lines(alert: str) -> list[Line]:
        return [said for worker in workers for said in worker.lines() if said.get("alert") == alert]

    wait_for(lambda: [w for w in workers if w.lines(Event.INCIDENT_ENDED)], 30, "the incident's end")
    (page,) = lines("page")
    letters = [said for worker in workers for said in worker.lines(Event.DEAD_LETTER_WRITTEN)]
    ends = [said for worker in workers for said in worker.lines(Event.INCIDENT_ENDED)]
    assert len(letters) == 60
    assert {said["incident"] for said in letters} == {page["incident"]}
    assert [(said["incident"], said["count"]) for said in ends] == [(page["incident"], 120)]
