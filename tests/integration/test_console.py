"""The console: what its pages show, and that an action is planned, confirmed, and done once."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from config import names, settings
from config.names import Event
from tests.support.command_line import ROOT, VOICECODE
from tests.support.console import RunningConsole, Visitor, running, text_of
from tests.support.dead_letters import dead_letter, load, load_mixed
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, environment, wait_for
from worker.cli import voicecode
from worker.console.access.users import COST, Users
from worker.embedded.server import Server
from worker.failure_queue import FailureQueue, Filter
from worker.failure_queue.facets import LOOKED_AT
from worker.store.client import connect


@pytest.fixture
def console(server: Server) -> Iterator[RunningConsole]:
    with running(settings.load(_env_file=None, broker_url=server.url, operator="night-shift")) as found:
        yield found


@pytest.fixture
def queue(server: Server) -> Iterator[FailureQueue]:
    configuration = settings.load(_env_file=None, broker_url=server.url)
    queue = FailureQueue(connect(configuration), configuration, operator="test")
    yield queue
    queue.client.close()


@pytest.fixture
def letters(queue: FailureQueue) -> int:
    """Load a thousand dead letters of every kind, of which a hundred are alive."""
    load_mixed(queue.client, 1000, now=time.time() - 5, span_seconds=500, sendable=100)
    return 1000


def finished(visitor: Visitor, path: str) -> requests.Response:
    """Wait until a plan has led to a run that has ended, and return the run's page."""
    led = visitor.wait(path, lambda page: page.status_code == 303).headers["Location"]
    return visitor.wait(led, lambda page: "data-reload-after" not in page.text)


def typed(visitor: Visitor, path: str) -> str:
    """Return the number that a plan asks for."""
    return text_of(visitor.get(path)).partition("Type ")[2].partition(" ")[0].replace(",", "")


def test_every_page_answers_and_holds_no_number(console: RunningConsole, letters: int) -> None:
    assert letters == 1000
    visitor = console.visitor("viewer")
    for path in ("/", "/dead", "/dead?sendable=1", "/runs", "/audit", "/code/login:00000999", "/figures"):
        page = visitor.get(path)
        assert page.status_code == 200, path
        assert "004200" not in page.text
        assert not any(number in page.text for number in ("13048222729", "13000048271"))
    assert "130****2729" in visitor.get("/code/login:00000999").text


def test_the_first_page_is_light(console: RunningConsole, letters: int) -> None:
    """Page, style, script and icon together: it opens on a bad line at night."""
    assert letters
    visitor = console.visitor("operator")
    page = visitor.get("/")
    files = [part.partition('"')[0] for part in page.text.split('="/static/')[1:]]
    sizes = [len(visitor.get(f"/static/{name}").content) for name in files]
    assert len(sizes) == 3
    assert len(page.content) + sum(sizes) < 60_000


@pytest.mark.parametrize(
    "asked",
    [
        "reason=permanent",
        "code=405",
        "code=405&code=4030",
        "scope=account",
        "ends=8271",
        "rung=yes",
        "rung=no&code=405",
        "sendable=1",
        "purpose=login",
        "text=%E5%86%BB%E7%BB%93",
        "key=login%3A00000001",
        "since=1h&until=1m",
    ],
)
def test_a_filter_finds_what_the_command_finds(
    console: RunningConsole, queue: FailureQueue, letters: int, asked: str
) -> None:
    from worker.console.acts.query import wanted_of  # noqa: PLC0415 - only here
    from worker.console.web.forms import read_query  # noqa: PLC0415 - only here

    assert letters
    wanted = wanted_of(read_query(asked), now=time.time())
    keys = list(queue.keys(wanted))
    visitor = console.owner()

    def counted() -> str:
        """Return the page. On a busy machine its time to count may end early, and it says so."""
        page = text_of(visitor.get(f"/dead?{asked}"))
        return page if len(keys) > LOOKED_AT or "and perhaps more" not in page else ""

    page = wait_for(counted, LIMIT_SECONDS, "a page that has counted all")
    if asked.startswith("since"):
        assert keys
        return
    told = f"{len(keys):,} dead letters" if len(keys) <= LOOKED_AT else "dead letters and perhaps more"
    assert f"{len(keys):,} dead letters" in page or told in page
    assert all(key in page for key in keys[:25])
    assert len(keys) < letters or asked == "purpose=login"


def test_a_list_goes_on_where_the_page_before_ended(console: RunningConsole, letters: int) -> None:
    visitor = console.owner()
    seen: list[str] = []
    path = "/dead?code=405"
    while path:
        page = visitor.get(path).text
        seen += [part.partition('"')[0] for part in page.split('href="/code/')[1:]]
        after = page.partition('" rel="next"')[0].rpartition('href="')[2]
        path = after.replace("&amp;", "&") if 'rel="next"' in page else ""
    assert len(seen) == len(set(seen)) == 700 * letters // 1000


def test_a_filter_that_cannot_be_used_says_why(console: RunningConsole) -> None:
    page = console.owner().get("/dead?since=yesterday")
    assert page.status_code == 400
    assert "is not a time" in text_of(page)
    assert "there is no reason" in text_of(console.owner().get("/dead?reason=permanant"))
    assert console.owner().get("/dead?after=nonsense").status_code == 400


def test_a_plan_says_what_a_replay_would_do_and_does_nothing(
    console: RunningConsole, queue: FailureQueue, letters: int
) -> None:
    visitor = console.visitor("operator")
    path = visitor.plan(kind="replay", code="405", canary="1")
    plan = text_of(visitor.get(path))
    assert "would be called" in plan
    assert "expired" in plan
    assert "No worker is live" in plan
    assert queue.stats().total == letters


def test_what_cannot_be_undone_wants_its_number_typed(
    console: RunningConsole, queue: FailureQueue, letters: int
) -> None:
    visitor = console.visitor("operator")
    path = visitor.plan(kind="replay", sendable="1")
    count = typed(visitor, path)
    for wrong in ("", "yes", str(int(count) + 1)):
        answer = visitor.post(path, typed=wrong)
        assert (answer.status_code, "Nothing was done" in answer.text) == (400, True)
    assert queue.stats().total == letters
    assert visitor.post(path, typed=count).status_code == 303
    visitor.wait(path, lambda page: page.status_code == 303)
    wait_for(lambda: queue.stats().total == letters - int(count), LIMIT_SECONDS, "the replay")


def test_a_second_click_and_a_reload_lead_to_the_same_run(
    console: RunningConsole, queue: FailureQueue, letters: int
) -> None:
    assert letters
    visitor = console.visitor("operator")
    path = visitor.plan(kind="discard", code="4030")
    for _ in range(3):
        assert visitor.post(path).status_code == 303
    run = visitor.wait(path, lambda page: page.status_code == 303).headers["Location"]
    assert visitor.post(path).headers["Location"] == path
    wait_for(lambda: queue.runs.latest(9)[0].ended_at, LIMIT_SECONDS, "the end")
    assert [f"/runs/{one.run}" for one in queue.runs.latest(9)] == [run]


def test_what_was_discarded_comes_back(console: RunningConsole, queue: FailureQueue, letters: int) -> None:
    visitor = console.visitor("operator")
    path = visitor.plan(kind="discard", code="405")
    visitor.post(path)
    page = finished(visitor, path)
    assert queue.stats().total == letters - 700
    run = page.url.rpartition("/")[2]
    undo = visitor.plan(kind="undo", run=run)
    assert "700 would come back" in text_of(visitor.get(undo))
    visitor.post(undo)
    finished(visitor, undo)
    assert queue.stats().total == letters
    assert {line.operator for line in queue.audit(run=run)} == {"operator"}
    shown = text_of(visitor.get("/audit?key=login:00000000"))
    assert "operator" in shown or "does not hold" in shown


def test_an_action_is_refused_when_much_more_has_died_since(
    console: RunningConsole, queue: FailureQueue, letters: int
) -> None:
    """Nobody has looked at what came meanwhile."""
    visitor = console.visitor("operator")
    path = visitor.plan(kind="discard", code="4030")
    now = time.time()
    load(
        queue.client,
        [dead_letter(9_000 + n, died_at=now, expires_at=now + 99, row="4030") for n in range(11)],
    )
    visitor.post(path)
    refused = visitor.wait(path, lambda page: "data-reload-after" not in page.text)
    assert "more than a tenth more than the plan" in text_of(refused)
    assert queue.stats().total == letters + 11
    assert queue.runs.latest(9) == []


def test_a_little_more_is_acted_on_as_well(
    console: RunningConsole, queue: FailureQueue, letters: int
) -> None:
    visitor = console.visitor("operator")
    path = visitor.plan(kind="discard", code="4030")
    now = time.time()
    load(
        queue.client,
        [dead_letter(9_000 + n, died_at=now, expires_at=now + 99, row="4030") for n in range(10)],
    )
    visitor.post(path)
    finished(visitor, path)
    assert queue.stats().total == letters - 100


def test_an_old_plan_must_be_made_again(console: RunningConsole, queue: FailureQueue, letters: int) -> None:
    visitor = console.visitor("operator")
    path = visitor.plan(kind="discard", code="4030")
    key = f"{names.CONSOLE_PREFIX}intent:{path.rpartition('/')[2]}"
    queue.client.hset(key, "made_at", str(time.time() - 1000))
    assert visitor.post(path).status_code == 409
    assert queue.stats().total == letters


def test_an_export_is_a_file_without_numbers(console: RunningConsole, letters: int) -> None:
    assert letters
    visitor = console.visitor("operator")
    path = visitor.plan(kind="export", code="4050")
    visitor.post(path)
    page = finished(visitor, path)
    lines = visitor.get(page.url + "/file").text.splitlines()
    assert len(lines) == 40
    assert all("****" in json.loads(line)["mobile"] for line in lines)
    assert "13048" not in "".join(lines)


def test_an_export_that_somebody_cancels_is_no_failure(console: RunningConsole, queue: FailureQueue) -> None:
    load_mixed(queue.client, 20_000, now=time.time() - 5, span_seconds=500, sendable=0)
    visitor = console.visitor("operator")
    path = visitor.plan(kind="export")
    visitor.post(path)
    run = wait_for(lambda: queue.runs.latest(1), LIMIT_SECONDS, "its begin")[0].run
    with capture_logs() as lines:
        queue.runs.cancel(run)
        wait_for(lambda: queue.runs.get(run).ended_at, LIMIT_SECONDS, "its end")  # type: ignore[union-attr]
        assert visitor.wait(path, lambda page: page.status_code == 303)
    assert queue.runs.get(run).stopped == "cancelled by test"  # type: ignore[union-attr]
    assert [line["event"] for line in lines if line["event"] == Event.CONSOLE_FAILED] == []


def test_sending_is_held_and_resumed_in_the_persons_name(
    console: RunningConsole, queue: FailureQueue
) -> None:
    visitor = console.visitor("operator")
    path = visitor.plan(kind="hold", note="the provider calls back at nine")
    visitor.post(path)
    assert visitor.wait(path, lambda page: page.status_code == 303).headers["Location"] == "/"
    client: Any = queue.client
    assert client.hget(names.SENDING, "state") == "held"
    client.hset(f"{names.SENDING}:fleet", "w", json.dumps({"worker": "w", "config": "c", "at": time.time()}))
    time.sleep(1.1)  # one look serves all viewers for a second
    page = text_of(visitor.get("/"))
    assert "operator stopped it" in page
    assert "the provider calls back at nine" in page
    assert [(line.action, line.operator) for line in queue.audit()] == [("held", "operator")]
    path = visitor.plan(kind="resume")
    visitor.post(path)
    assert client.hget(names.SENDING, "state") == "trial"


def test_a_codes_life_is_told_with_who_replayed_it(sandbox: Sandbox) -> None:
    """Messages, attempts, replies and people, in the order of time."""
    sandbox.gateway.account("4050")
    sandbox.worker(stop_sending=False)
    key = sandbox.send(expires_at=time.time() + 300)
    sandbox.wait_state(key, state="dead")
    sandbox.gateway.account(None)
    with running(settings.load(_env_file=None, broker_url=sandbox.url)) as console:
        visitor = console.visitor("operator")
        path = visitor.plan(kind="replay", key=key)
        visitor.post(path, typed="1")
        led = visitor.wait(path, lambda page: page.status_code == 303).headers["Location"]
        done = visitor.wait(led, lambda page: "All 1 have ended: 1 accepted" in text_of(page))
        assert "replay" in text_of(done)
        life = text_of(visitor.get(f"/code/{key}"))
    told = ("A worker saw its message", "Replayed", "operator", "Accepted: the gateway took the call")
    assert sorted(told, key=life.index) == list(told)


def test_the_address_is_the_state_of_the_page(console: RunningConsole, letters: int) -> None:
    assert letters
    page = console.owner().get("/dead?code=405&sendable=1&ends=0001").text
    for field in ('value="405"', "checked", 'value="0001"'):
        assert field in page
    wanted = Filter(codes=("405",))
    assert str(wanted) == "code=405"


def test_times_stand_in_the_viewers_zone_with_utc_beside(
    console: RunningConsole, queue: FailureQueue
) -> None:
    died = 1_769_800_000.0  # 2026-01-30T19:06:40Z
    load(queue.client, [dead_letter(1, died_at=died, expires_at=died + 100)])
    visitor = console.owner()
    assert ">2026-01-30 19:06:40</time>" in visitor.get("/dead").text
    visitor.post("/preferences", zone="Asia/Shanghai", back="/dead")
    page = visitor.get("/dead").text
    assert ">2026-01-31 03:06:40</time>" in page
    assert 'title="2026-01-30T19:06:40Z · ' in page
    visitor.session.cookies.set("voicecode_zone", "../../etc/passwd")
    assert visitor.get("/dead").status_code == 200


def test_the_language_can_be_switched(console: RunningConsole) -> None:
    visitor = console.owner()
    assert '<html lang="en"' in visitor.get("/").text
    answer = visitor.post("/preferences", lang="zh", back="/runs")
    assert answer.headers["Location"] == "/runs"
    assert '<html lang="zh-CN"' in visitor.get("/").text
    assert "用户能接到电话吗" in text_of(visitor.get("/"))


def test_the_figures_come_live_and_end_with_the_session(console: RunningConsole) -> None:
    visitor = console.visitor("viewer")
    with visitor.get("/live", stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        first = json.loads(next(line for line in lines if line).removeprefix("data: "))
        assert first["texts"]["dead"] == "0"
        console.console.people.users.remove("viewer")
        assert "event: over" in [line for line in lines if line]
    assert visitor.get("/live").status_code == 403


def test_the_curves_remember_the_hour_when_the_console_starts_again(server: Server) -> None:
    configuration = settings.load(_env_file=None, broker_url=server.url)
    with running(configuration) as first:
        client: Any = first.console.client
        wait_for(lambda: client.llen(names.CONSOLE_PREFIX + "samples"), LIMIT_SECONDS, "a sample")
        assert first.console.samples.take(first.console.latest.read) is False
    with running(configuration) as second:
        page = second.owner().get("/").text
        assert page.count("<polyline") >= 3


def test_a_redis_that_is_away_is_told_in_a_page(server: Server) -> None:
    configuration = settings.load(_env_file=None, broker_url="redis://127.0.0.1:1/0")
    assert server
    with running(configuration) as console:
        visitor = Visitor(console.address)
        visitor.session.cookies.set("voicecode_session", "anything")
        began = time.monotonic()
        page = visitor.get("/dead")
        assert page.status_code == 503
        assert page.headers["Retry-After"] == "5"
        assert "VOICECODE_BROKER_URL" in text_of(page)
        assert time.monotonic() - began < 5


def test_an_alerts_link_leads_to_the_page_that_helps(console: RunningConsole) -> None:
    visitor = console.owner()
    assert visitor.get("/incident/sending-1769800000?row=405").headers["Location"] == "/?row=405"
    assert visitor.get("/incident/405-1769800000").headers["Location"] == "/?row=405"
    assert visitor.get("/incident/upkeep.failed-1769800000").headers["Location"] == "/"
    assert visitor.get("/incident/x?row=%3Cscript%3E").headers["Location"] == "/"


def test_users_are_added_listed_and_removed_by_the_command(server: Server, queue: FailureQueue) -> None:
    """The password comes from a terminal or from a pipe, and never from an argument."""
    env = environment(broker_url=server.url, gateway_url="http://127.0.0.1:1", operator="night-shift")

    def command(*words: str, given: str = "") -> Result:
        with mock.patch.dict(COST, {"n": 2**10}):
            return CliRunner().invoke(voicecode, ["console", "user", *words], input=given, env=dict(env))

    short = command("add", "somebody", given="short\n")
    assert (short.exit_code, "12 characters" in short.output) == (2, True)
    assert command("add", "some body", given="a-long-password\n").exit_code == 2
    assert command("add", "somebody", "--role", "operator", given="a-long-password\n").exit_code == 0
    assert command("list").output == "operator  somebody\n"
    client: Any = queue.client
    kept = client.hget(names.CONSOLE_PREFIX + "users", "somebody")
    assert "a-long-password" not in kept
    with mock.patch.dict(COST, {"n": 2**10}):
        assert Users(queue.client).check("somebody", "a-long-password") is not None
    assert command("remove", "somebody").exit_code == 0
    assert command("remove", "somebody").exit_code == 3
    assert command("list").exit_code == 3
    assert [(line.action, line.detail) for line in queue.audit()] == [
        ("user", "removed somebody"),
        ("user", "added somebody, operator"),
    ]


def test_the_command_serves_until_it_is_asked_to_end(server: Server) -> None:
    env = environment(broker_url=server.url, gateway_url="http://127.0.0.1:1")
    with subprocess.Popen(
        [*VOICECODE, "console", "--port", "0"],
        env=dict(env),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().removeprefix("The console: ").strip()
            visitor = Visitor(address.partition("/enter")[0])
            assert visitor.get(address).headers["Location"] == "/"
            assert visitor.get("/").status_code == 200
            with visitor.get("/live", stream=True) as stream:
                assert next(stream.iter_lines())
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        finally:
            process.kill()


def test_a_run_that_the_end_of_the_console_interrupts_says_so(server: Server, queue: FailureQueue) -> None:
    """What it did not reach stays in the failure queue."""
    load_mixed(queue.client, 1000, now=time.time() - 5, span_seconds=500, sendable=100)
    with running(settings.load(_env_file=None, broker_url=server.url)) as console:
        visitor = console.owner()
        path = visitor.plan(kind="replay", sendable="1", rate="1/s")
        visitor.post(path, typed=typed(visitor, path))
        visitor.wait(path, lambda page: page.status_code == 303)
        wait_for(lambda: queue.stats().total < 1000, LIMIT_SECONDS, "the first one")
    [run] = queue.runs.latest(9)
    assert run.ended_at is not None
    assert run.stopped == "interrupted"
    assert queue.stats().total == 1000 - sum(run.counts.values())
