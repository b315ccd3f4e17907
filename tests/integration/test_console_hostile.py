"""The console and people who mean harm: none of them gets anywhere, and each way has its test."""

import hashlib
import http.client
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from config import names, settings
from tests.support.console import PASSWORD, RunningConsole, Visitor, running, text_of
from tests.support.dead_letters import dead_letter, load
from worker.console.access.roles import Role
from worker.console.access.tries import PER_ADDRESS
from worker.console.pages.table import PAGES
from worker.console.serve import NotServedError, serve
from worker.embedded.server import Server
from worker.failure_queue import FailureQueue, Filter
from worker.store.client import connect

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound there
KINDS = ("replay", "discard", "export", "hold", "resume")
NASTY = "<script>alert(1)</script>\x1b[31m\u202e\u2066\" onload='x' {{7*7}} \x07\x00end"


@pytest.fixture
def console(server: Server) -> Iterator[RunningConsole]:
    with running(settings.load(_env_file=None, broker_url=server.url, operator="night-shift")) as found:
        yield found


@pytest.fixture
def queue(server: Server) -> Iterator[FailureQueue]:
    configuration = settings.load(_env_file=None, broker_url=server.url)
    queue = FailureQueue(connect(configuration), configuration, operator="test")
    now = time.time()
    load(queue.client, [dead_letter(n, died_at=now - n, expires_at=now + 999, row="405") for n in range(5)])
    yield queue
    queue.client.close()


def nothing_happened(queue: FailureQueue) -> bool:
    client: Any = queue.client
    untouched = not client.exists(names.SENDING) and queue.stats().total == 5
    return untouched and queue.runs.latest(9) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_viewer_can_plan_and_do_nothing(console: RunningConsole, queue: FailureQueue, kind: str) -> None:
    viewer = console.visitor("viewer")
    assert viewer.post("/act", kind=kind, code="405").status_code == 403
    assert "kind" not in viewer.get("/dead").text.replace("kinds", "")
    assert nothing_happened(queue)


@pytest.mark.parametrize("kind", KINDS)
def test_who_became_a_viewer_cannot_confirm_what_he_planned(
    console: RunningConsole, queue: FailureQueue, kind: str
) -> None:
    """The right is asked for again, by the role of now."""
    visitor = console.visitor("operator")
    path = visitor.plan(kind=kind, code="405", canary="1")
    client: Any = queue.client
    kept = client.hget(names.CONSOLE_PREFIX + "users", "operator")
    client.hset(names.CONSOLE_PREFIX + "users", "operator", kept.replace('"operator"', '"viewer"'))
    assert visitor.post(path, typed="5").status_code == 403
    assert nothing_happened(queue)


def test_nobody_confirms_what_somebody_else_planned(console: RunningConsole, queue: FailureQueue) -> None:
    path = console.visitor("operator").plan(kind="discard", code="405")
    other = console.visitor("admin")
    assert other.post(path).status_code == 403
    assert other.get(path).status_code == 403
    assert nothing_happened(queue)


@pytest.mark.parametrize("field", ["ambiguous", "superseded", "life"])
def test_an_operator_may_not_call_people_twice(
    console: RunningConsole, queue: FailureQueue, field: str
) -> None:
    operator = console.visitor("operator")
    assert operator.post("/act", kind="replay", code="405", **{field: "1"}).status_code == 403
    assert operator.post("/act", kind="discard").status_code == 403  # the whole queue
    assert console.visitor("admin").post("/act", kind="replay", code="405", **{field: "1"}).status_code == 303
    assert nothing_happened(queue)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_a_form_from_another_site_does_nothing(
    console: RunningConsole, queue: FailureQueue, headers: dict[str, str]
) -> None:
    """The session's cookie comes along, and it does not help."""
    visitor = console.visitor("admin")
    path = visitor.plan(kind="discard", code="405")
    for target, fields in (
        ("/act", {"kind": "hold"}),
        (path, {}),
        ("/logout", {}),
        ("/preferences", {"lang": "zh"}),
        ("/login", {"name": "admin", "password": PASSWORD}),
    ):
        answer = visitor.post(target, headers, **fields)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
    assert nothing_happened(queue)
    assert visitor.get("/").status_code == 200


def test_another_site_may_link_to_a_page_and_embed_none(console: RunningConsole) -> None:
    visitor = console.visitor("viewer")
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert visitor.get("/", headers={**foreign, "Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert visitor.get("/figures", headers={**foreign, "Sec-Fetch-Mode": "no-cors"}).status_code == 403
    page = visitor.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert {"server", "x-powered-by"} & {name.lower() for name in page.headers} == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.right is not None], ids=lambda p: p.path)
def test_a_stranger_sees_nothing(console: RunningConsole, queue: FailureQueue, page: Any) -> None:
    stranger = Visitor(console.address)
    path = re.sub(r"\{[^}]*\}", "login:00000001", page.path)
    answer = stranger.post(path, kind="hold") if page.post else stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login")
    assert answer.text == ""
    assert nothing_happened(queue)


def test_a_dead_letter_full_of_html_escapes_and_marks_is_only_text(
    console: RunningConsole, queue: FailureQueue
) -> None:
    now = time.time()
    nasty = dead_letter(
        77,
        died_at=now,
        expires_at=now + 99,
        reply_message=NASTY,
        detail=NASTY,
        purpose=NASTY,
        row="405<b>",
        reason=NASTY,
        raw=NASTY,
        task_id=NASTY,
        voice_id=NASTY,
    )
    client: Any = queue.client
    for key in ("login:<img src=x onerror=alert(1)>", 'a"b\u202ec', "../../act"):
        load(queue.client, [(key, nasty[1])])
        client.xadd(
            names.AUDIT, {"action": NASTY, "key": key, "operator": NASTY, "run": NASTY, "detail": NASTY}
        )
    visitor = console.owner()
    paths = ["/", "/dead", "/dead?text=alert", "/audit", "/runs"]
    paths += re.findall(r'href="(/code/[^"]+)"', visitor.get("/dead").text)[:3]
    assert len(paths) == 8
    for path in paths:
        text = visitor.get(path).text
        assert visitor.get(path).status_code == 200, path
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "405<b>" not in text
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
        assert "onload='x'" not in text


@pytest.mark.parametrize("query", ["text=%s", "key=%s", "since=%s", "purpose=%s", "after=%s", "reason=%s"])
def test_what_is_typed_comes_back_as_text(console: RunningConsole, queue: FailureQueue, query: str) -> None:
    assert queue
    attack = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE"
    text = console.owner().get("/dead?" + query % attack).text
    assert "<script>alert" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("path", ["/dead?text=%s", "/audit?key=%s", "/find?key=%s", "/dead?after=1:%s"])
def test_a_number_that_somebody_types_stays_in_no_address_and_no_page(
    console: RunningConsole, path: str
) -> None:
    visitor = console.visitor("viewer")
    answer = visitor.get(path % "13800138000")
    assert answer.status_code == 303
    assert "13800138000" not in answer.headers["Location"]
    assert "13800138000" not in visitor.get(answer.headers["Location"]).text


def test_guessing_a_password_ends_soon(console: RunningConsole) -> None:
    console.console.people.users.put("admin", PASSWORD, Role.ADMIN)
    thief = Visitor(console.address)
    answers = [thief.log_in("admin", f"guess number {n}").status_code for n in range(PER_ADDRESS + 2)]
    assert answers == [401] * PER_ADDRESS + [429] * 2
    assert thief.log_in("admin").status_code == 429  # even the right one
    assert "Wait" in text_of(thief.log_in("admin"))
    assert thief.get("/enter?token=guess").status_code == 303
    assert thief.get("/").headers["Location"] == "/login"


def test_guesses_at_the_same_time_are_counted(console: RunningConsole) -> None:
    console.console.people.users.put("admin", PASSWORD, Role.ADMIN)

    def guess(number: int) -> int:
        return Visitor(console.address).log_in("admin", f"guess number {number}").status_code

    with ThreadPoolExecutor(15) as pool:
        answers = list(pool.map(guess, range(15)))
    assert answers.count(401) == PER_ADDRESS


def test_an_unknown_name_takes_as_long_as_a_wrong_password(console: RunningConsole) -> None:
    """In CPU time: the clock on the wall also counts what other programs took."""
    console.console.people.users.put("admin", PASSWORD, Role.ADMIN)
    users, took = console.console.people.users, {}
    for name in ("admin", "nobody"):
        began = time.thread_time()
        assert users.check(name, "wrong password") is None
        took[name] = time.thread_time() - began
    assert took["nobody"] > took["admin"] / 5


def test_a_session_that_somebody_brings_is_not_taken_over(console: RunningConsole) -> None:
    """Fixation: the token of a session is made at login, and the one before it is over."""
    victim = console.visitor()
    console.console.people.users.put("admin", PASSWORD, Role.ADMIN)
    victim.session.cookies.set("voicecode_session", "planted-by-a-thief")
    answer = victim.log_in("admin")
    fresh = re.search(
        r"voicecode_session=([^;]+); HttpOnly; Path=/; SameSite=lax", answer.headers["Set-Cookie"]
    )
    assert fresh is not None
    assert fresh[1] != "planted-by-a-thief"
    thief = Visitor(console.address)
    thief.session.cookies.set("voicecode_session", "planted-by-a-thief")
    assert thief.get("/").status_code == 303
    old = Visitor(console.address)
    old.session.cookies.set("voicecode_session", fresh[1])
    assert old.get("/").status_code == 200
    old.log_in("admin")
    late = Visitor(console.address)
    late.session.cookies.set("voicecode_session", fresh[1])
    assert late.get("/").status_code == 303


def test_a_session_ends(console: RunningConsole) -> None:
    """By logging out, by another password, by removal, and by itself."""
    users = console.console.people.users
    client: Any = console.console.client
    token = console.visitor("viewer")
    cookie = token.session.cookies["voicecode_session"]
    assert token.post("/logout").status_code == 303
    token.session.cookies.set("voicecode_session", cookie)
    assert token.get("/").status_code == 303
    changed = console.visitor("viewer")
    users.put("viewer", "another password", Role.VIEWER)
    assert changed.get("/").status_code == 303
    users.put("viewer", PASSWORD, Role.VIEWER)
    removed = console.visitor("viewer")
    users.remove("viewer")
    assert removed.get("/").status_code == 303
    idle = console.visitor("viewer")
    digest = hashlib.sha256(idle.session.cookies["voicecode_session"].encode()).hexdigest()
    key = f"{names.CONSOLE_PREFIX}session:{digest}"
    assert 0 < client.ttl(key) <= 3600
    client.hset(key, "ends", str(time.time() - 1))
    assert idle.get("/").status_code == 303


def test_the_token_of_one_process_opens_no_other(server: Server) -> None:
    configuration = settings.load(_env_file=None, broker_url=server.url)
    with running(configuration) as first:
        cookie = first.owner().session.cookies["voicecode_session"]
    with running(configuration) as second:
        visitor = Visitor(second.address)
        visitor.session.cookies.set("voicecode_session", cookie)
        assert visitor.get("/").status_code == 303
        assert visitor.get(f"/enter?token={first.console.token}").headers["Location"] == "/login"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:1", "", "localhost"])
def test_the_console_answers_only_to_its_own_name(console: RunningConsole, host: str) -> None:
    """A name of a stranger's that leads to this machine opens nothing (DNS rebinding)."""
    visitor = console.visitor("viewer")
    answer = visitor.get("/", headers={"Host": host})
    assert answer.status_code in {400, 421}
    assert "Failure queue" not in answer.text


@pytest.mark.parametrize(
    "onward", ["https://evil.example", "//evil.example", "/\\evil.example", "%0d%0aX: y"]
)
def test_a_login_leads_to_no_other_site(console: RunningConsole, onward: str) -> None:
    console.console.people.users.put("viewer", PASSWORD, Role.VIEWER)
    visitor = Visitor(console.address)
    answer = visitor.post("/login", name="viewer", password=PASSWORD, next=onward)
    assert answer.headers["Location"] == "/"
    assert visitor.post("/preferences", lang="zh", back=onward).headers["Location"] == "/"
    assert visitor.get(f"/enter?token={console.console.token}&next={onward}").headers["Location"] == "/"


def test_what_is_far_too_large_is_not_read(console: RunningConsole, queue: FailureQueue) -> None:
    visitor = console.visitor("operator")
    assert visitor.get("/dead?text=" + "x" * 5_000).status_code == 414
    assert visitor.post("/act", kind="discard", note="x" * 70_000).status_code == 413
    many = {f"field{n}": "x" for n in range(200)}
    assert visitor.post("/act", kind="discard", **many).status_code == 400
    odd = {"Origin": console.address, "Content-Type": "application/json"}
    assert visitor.post("/act", odd, kind="discard").status_code == 415
    assert nothing_happened(queue)
    endless = http.client.HTTPConnection(console.address.removeprefix("http://"), timeout=20)
    cookie = f"voicecode_session={visitor.session.cookies['voicecode_session']}"
    endless.putrequest("POST", "/act")
    for name, value in (
        ("Origin", console.address),
        ("Cookie", cookie),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Transfer-Encoding", "chunked"),
    ):
        endless.putheader(name, value)
    endless.endheaders()
    try:
        for _ in range(100):
            endless.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
    except OSError:
        pass  # it hung up
    else:
        endless.send(b"0\r\n\r\n")
        assert endless.getresponse().status == 413
    endless.close()


@pytest.mark.parametrize(
    "path", ["/static/x/../../app.py", "/static/x/%2e%2e%2fapp.py", "/static/x/texts.py"]
)
def test_only_the_files_of_the_page_are_served(console: RunningConsole, path: str) -> None:
    assert console.visitor("viewer").get(path).status_code == 404


def test_a_proxy_says_who_asks_only_with_the_secret(server: Server) -> None:
    secret = "shared-with-the-proxy"
    configuration = settings.load(
        _env_file=None, broker_url=server.url, console_proxy_secret=secret, console_url="http://localhost:9"
    )
    with running(configuration) as console:
        visitor = Visitor(console.address)
        told = {"X-Voicecode-User": "somebody", "X-Voicecode-Role": "admin"}
        assert visitor.get("/", headers=told).status_code == 303
        assert visitor.get("/", headers={**told, "X-Voicecode-Secret": "wrong"}).status_code == 303
        known = visitor.get("/", headers={**told, "X-Voicecode-Secret": secret})
        assert "somebody, admin" in known.text
        wrong = {**told, "X-Voicecode-Secret": secret, "X-Voicecode-Role": "root"}
        assert visitor.get("/", headers=wrong).status_code == 303
        seen = {"X-Voicecode-User": "somebody", "X-Voicecode-Secret": secret}
        assert "somebody, viewer" in visitor.get("/", headers=seen).text


def test_other_hosts_are_served_only_with_an_address_and_never_by_a_token(server: Server) -> None:
    with pytest.raises(NotServedError, match="VOICECODE_CONSOLE_URL"):
        serve(settings.load(_env_file=None, broker_url=server.url), EVERYWHERE, 0, print)
    configuration = settings.load(
        _env_file=None, broker_url=server.url, console_url="https://console.example.test"
    )
    with running(configuration, host=EVERYWHERE) as console:
        assert console.console.token is None
        visitor = Visitor(console.address)
        assert visitor.get("/").status_code == 421
        named = {"Host": "console.example.test"}
        assert "voicecode console user add" in visitor.get("/login", headers=named).text
        assert visitor.get("/enter?token=None", headers=named).headers["Location"] == "/login"
        console.console.people.users.put("viewer", PASSWORD, Role.VIEWER)
        sent = {**named, "Origin": "https://console.example.test"}
        answer = visitor.post("/login", sent, name="viewer", password=PASSWORD)
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-voicecode=")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie


@pytest.mark.parametrize(
    "address", ["http://console.example.test", "ftp://x", "https://u:p@x", "https://x/path", "https://"]
)
def test_an_address_that_is_not_safe_is_refused(address: str) -> None:
    with pytest.raises(settings.SettingsError, match="CONSOLE_URL"):
        settings.load(_env_file=None, console_url=address)


def test_no_log_line_holds_a_secret_or_a_number(
    console: RunningConsole, queue: FailureQueue, capfd: pytest.CaptureFixture[str]
) -> None:
    visitor = console.owner()
    Visitor(console.address).log_in("13800138000", "the secret password")
    path = visitor.plan(kind="discard", code="405")
    visitor.post(path)
    visitor.wait(path, lambda page: page.status_code == 303)
    assert list(queue.keys(Filter(codes=("4051",)))) == []
    said = "".join(capfd.readouterr())
    assert "console.acted" in said
    assert "console.refused" in said
    for secret in (console.console.token or "?", "13800138000", "the secret password"):
        assert secret not in said
