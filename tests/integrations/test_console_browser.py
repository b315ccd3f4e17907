"""The console in a real browser: two nights, in two languages, on two widths, without a script.

`VOICECODE_WRITE_DOCS=1` takes the pictures of docs/console.md anew.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from config import settings
from tests.support import browser as browsers
from tests.support.browser import DESK, PHONE, complaints
from tests.support.console import RunningConsole, running
from tests.support.dead_letters import load_mixed
from tests.support.receiver import Receiver
from tests.support.sandbox import Sandbox
from tests.support.workers import wait_for

pytestmark = [
    pytest.mark.integrations,
    pytest.mark.browser,
    pytest.mark.skipif(browsers.chromium() is None, reason="no Chromium: apt-get install chromium"),
]
PICTURES: Final = Path(__file__).parents[2] / "docs" / "console"
NIGHT, ALIVE, FRESH = 20_000, 600, 20
NEW_KEY: Final = "the-key-of-tomorrow"
PATIENCE: Final = 60_000
"""Milliseconds: a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.started() as found:
        yield found


@pytest.fixture
def console(sandbox: Sandbox) -> Iterator[RunningConsole]:
    with running(settings.load(_env_file=None, broker_url=sandbox.url, operator="night-shift")) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


class Person:
    """Somebody with a browser, who counts clicks."""

    def __init__(self, browser: Any, console: RunningConsole, role: str, **how: Any) -> None:
        self.console = console
        self.clicks = 0
        self.errors: list[str] = []
        options = {"viewport": DESK, "locale": "en-US", "timezone_id": "Asia/Shanghai", **how}
        self.context = browser.new_context(**options)
        visitor = console.visitor(role)
        cookie = {"name": "voicecode_session", "value": visitor.session.cookies["voicecode_session"]}
        self.context.add_cookies([{**cookie, "url": console.address}])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, line: Any) -> None:
        if line.type == "error":
            self.errors.append(line.text)

    def opens(self, address: str) -> None:
        self.clicks += 1
        self.page.goto(address)

    def clicks_on(self, text: str) -> None:
        self.clicks += 1
        self.page.get_by_role("button", name=re.compile(text)).or_(
            self.page.get_by_role("link", name=re.compile(text))
        ).first.click()

    def sees(self, text: str) -> None:
        self.page.get_by_text(re.compile(text)).first.wait_for()

    @property
    def fits(self) -> bool:
        """Nothing is wider than the window."""
        width = self.page.viewport_size["width"]
        return bool(self.page.evaluate("document.documentElement.scrollWidth") <= width)


TEXTS: Final = {
    "en-US": {
        "stopped": "sending has stopped. 405",
        "cure": "Get the right APIID and APIKEY",
        "sends": "Yes: sending",
        "plan": "Plan a replay",
        "would": "of .* would be called",
        "call": "Call [0-9,]+ codes now",
        "done": "All [0-9,]+ have ended: ([0-9,]+) accepted",
        "role": "Your role is viewer",
    },
    "zh-CN": {
        "stopped": "外呼已停止。405",
        "cure": "获取正确的 APIID 和 APIKEY",
        "sends": "能：外呼正常",
        "plan": "制定重放计划",
        "would": "条中将呼叫",
        "call": "立即呼叫 [0-9,]+ 条",
        "done": "[0-9,]+ 条全部有结果：([0-9,]+) 条已受理",
        "role": "您的角色是查看者",
    },
}


def the_key_is_changed(sandbox: Sandbox, console: RunningConsole, receiver: Receiver) -> str:
    """Let the night's codes die, and return the link of the alert."""
    client = sandbox.redis
    load_mixed(client, NIGHT, now=time.time() - 30, span_seconds=3000, sendable=ALIVE, only_405=True)
    sandbox.gateway.account("405")
    sandbox.worker(
        stop_sending=True,
        alert_webhook=f"json+{receiver.url}",
        console_url=console.address,
        code_grace_seconds=86_400,
        concurrency=20,
    )
    keys = sandbox.send_all(FRESH, expires_at=time.time() + 3000)
    sandbox.wait_state(keys, state="dead")
    wait_for(lambda: receiver.posted, 20, "the alert")
    found = re.search(rb'"console": "([^"]+)"', receiver.posted[0][2])
    assert found is not None
    return found[1].decode()


def the_key_is_right_again(sandbox: Sandbox) -> None:
    """Give the workers the new key, as a person does elsewhere."""
    sandbox.gateway.account(None)
    sandbox.gateway.apikeys(NEW_KEY)
    sandbox.workers[-1].stop()
    sandbox.worker(stop_sending=True, apikey=NEW_KEY, code_grace_seconds=86_400, concurrency=20)
    wait_for(lambda: sandbox.redis.hget("{voice_codes}:sending", "state") == "sending", 30, "the return")


@pytest.mark.parametrize(
    ("locale", "viewport", "script"),
    [
        ("en-US", DESK, True),
        ("zh-CN", DESK, True),
        ("zh-CN", PHONE, True),
        ("en-US", PHONE, False),
    ],
    ids=["english", "chinese", "phone", "without-a-script"],
)
def test_the_night_of_the_405(  # noqa: PLR0913 - what the night needs, and its variants
    browser: Any,
    sandbox: Sandbox,
    console: RunningConsole,
    receiver: Receiver,
    tmp_path: Path,
    *,
    locale: str,
    viewport: dict[str, int],
    script: bool,
) -> None:
    """From the alert's link to the last accepted code: few clicks, and only a number is typed."""
    link, texts = the_key_is_changed(sandbox, console, receiver), TEXTS[locale]
    person = Person(
        browser, console, "operator", locale=locale, viewport=viewport, java_script_enabled=script
    )
    steps: list[str] = []

    def look(name: str) -> None:
        steps.append(name)
        person.page.screenshot(path=tmp_path / f"{len(steps)}-{name}.png", full_page=True)
        assert person.fits or not script

    person.opens(link)
    person.sees(texts["stopped"])
    person.sees(texts["cure"])
    look("stopped")
    the_key_is_right_again(sandbox)
    if script:
        person.sees(texts["sends"])
    person.opens(link)
    person.sees(texts["sends"])
    look("sends")
    person.clicks_on(texts["plan"])
    person.sees(texts["would"])
    look("plan")
    count = re.sub(r"\D", "", person.page.get_by_role("button", name=re.compile(texts["call"])).inner_text())
    person.page.locator("#typed").fill(count)
    person.clicks_on(texts["call"])
    person.sees(texts["done"])
    look("done")
    accepted = re.search(texts["done"], person.page.inner_text("main"))
    assert accepted is not None
    # Of those that were loaded, some have a newer code for their number.
    assert int(accepted[1].replace(",", "")) == int(count) > ALIVE
    assert len(sandbox.gateway.calls()) == int(count)
    assert person.clicks <= 5
    assert person.errors == []


def test_the_night_of_the_405_for_somebody_who_may_only_look(
    browser: Any, sandbox: Sandbox, console: RunningConsole, receiver: Receiver
) -> None:
    link, texts = the_key_is_changed(sandbox, console, receiver), TEXTS["zh-CN"]
    person = Person(browser, console, "viewer", locale="zh-CN")
    person.opens(link)
    person.sees(texts["stopped"])
    the_key_is_right_again(sandbox)
    person.sees(texts["sends"])
    person.opens(link)
    person.sees(texts["role"])
    assert person.page.locator("main form[method=post]").count() == 0
    fields = {"kind": "replay", "code": "405"}
    answer = person.page.evaluate(
        "fields => fetch('/act', {method: 'POST', body: new URLSearchParams(fields)}).then(a => a.status)",
        fields,
    )
    assert answer == 403
    assert sandbox.gateway.calls() == []


def test_the_night_of_the_4051_needs_a_top_up_and_nothing_else(
    browser: Any, sandbox: Sandbox, console: RunningConsole
) -> None:
    """The page says so, counts what is parked, and shows the return by itself."""
    sandbox.gateway.balance(0)
    sandbox.worker(stop_sending=True, probe_seconds=0.5)
    keys = sandbox.send_all(30, expires_at=time.time() + 3000)
    wait_for(lambda: sandbox.redis.hget("{voice_codes}:sending", "state") == "stopped", 30, "the stop")
    person = Person(browser, console, "operator")
    person.opens(f"{console.address}/incident/sending-1?row=4051")
    person.sees("Only a top-up is needed")
    person.sees("There is nothing to replay")
    assert person.page.get_by_role("button", name="Plan a replay").count() == 0
    sandbox.gateway.top_up(1000)
    person.sees("Yes: sending")
    person.sees("The account has calls again")
    sandbox.wait_state(keys)
    person.sees("All of them have returned")
    assert person.errors == []


@pytest.fixture
def week(sandbox: Sandbox, console: RunningConsole) -> dict[str, str]:
    """Let something be on every page; return the pages."""
    load_mixed(sandbox.redis, 2000, now=time.time() - 5, span_seconds=900, sendable=300)
    sandbox.worker(stop_sending=True, concurrency=20, code_grace_seconds=86_400)
    sandbox.wait_state(sandbox.send_all(30))
    operator = console.visitor("operator")
    replay = operator.plan(kind="replay", code="405", sendable="1", canary="1")
    count = re.search(r"Call ([0-9,]+) codes", operator.get(replay).text)
    assert count is not None
    operator.post(replay, typed=count[1])
    led = operator.wait(replay, lambda page: page.status_code == 303).headers["Location"]
    operator.wait(led, lambda page: "data-reload-after" not in page.text, 60)
    discard = operator.plan(kind="discard", code="4030")
    operator.post(discard)
    plan = operator.plan(kind="replay", scope="host", sendable="1", canary="1")
    key = next(iter(console.console.queue("x").removal.discarded(_run_of(console, "discard"))))
    return {
        "now": "/",
        "failure-queue": "/dead?sendable=1",
        "plan": plan,
        "run": led,
        "runs": "/runs",
        "code": f"/code/{key}",
        "audit": "/audit",
    }


def _run_of(console: RunningConsole, action: str) -> str:
    runs = console.console.queue("x").runs
    found: str = wait_for(
        lambda: next((r.run for r in runs.latest(9) if r.action == action and r.ended_at), None), 20, action
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read_by_everybody(
    browser: Any, console: RunningConsole, week: dict[str, str], scheme: str
) -> None:
    """Contrast, labels, names and order as axe checks them, on both widths, in both languages."""
    found: dict[str, list[str]] = {}
    for viewport, locale in ((DESK, "en-US"), (PHONE, "zh-CN")):
        person = Person(browser, console, "operator", color_scheme=scheme, viewport=viewport, locale=locale)
        for name, path in {
            **week,
            "login": "/login",
            "failed": "/nowhere",
            "filter": "/dead?ends=0001",
        }.items():
            if name == "login":
                person.context.clear_cookies()
            person.page.goto(console.address + path)
            found[f"{name} {viewport['width']}"] = complaints(person.page)
            assert person.fits, name
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_keyboard_alone_is_enough(
    browser: Any, sandbox: Sandbox, console: RunningConsole, week: dict[str, str]
) -> None:
    """Shortcuts lead to the pages, Tab to every control, Enter confirms; the keys can be off."""
    assert week
    person = Person(browser, console, "operator")
    page = person.page
    page.goto(console.address)
    for key, path in (("q", "/dead"), ("r", "/runs"), ("a", "/audit"), ("n", "/")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(console.address + path)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.goto(console.address + week["plan"])
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "typed":
            break
    count = re.search(r"Type ([0-9,]+)", page.inner_text("main"))
    assert count is not None
    page.keyboard.type(count[1].replace(",", ""))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/runs/"))
    person.sees("have ended")
    page.keyboard.press("?")
    page.locator("#keys-use").press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("q")
    assert "/dead" not in page.url
    assert sandbox.gateway.calls()


def test_two_clicks_in_a_row_call_nobody_twice(
    browser: Any, sandbox: Sandbox, console: RunningConsole, week: dict[str, str]
) -> None:
    person = Person(browser, console, "operator", java_script_enabled=False)
    before = len(sandbox.gateway.calls())
    person.page.goto(console.address + week["plan"])
    button = person.page.get_by_role("button", name=re.compile("Call [0-9,]+ codes"))
    count = re.sub(r"\D", "", button.inner_text())
    person.page.locator("#typed").fill(count)
    button.dblclick(no_wait_after=True)
    person.sees("have ended: ")
    person.page.reload()
    person.page.go_back()
    person.sees("have ended: ")
    assert len(sandbox.gateway.calls()) == before + int(count)


def test_times_are_in_the_viewers_zone_and_the_figures_can_stand_still(
    browser: Any, console: RunningConsole, week: dict[str, str]
) -> None:
    person = Person(browser, console, "viewer", timezone_id="Asia/Tokyo")
    page = person.page
    page.goto(console.address + week["runs"])
    time_element = page.locator("main time").first
    shown, utc = time_element.inner_text(), time_element.get_attribute("datetime")
    assert (int(shown[11:13]) - int(utc[11:13])) % 24 == 9
    page.goto(console.address + week["runs"])
    assert page.locator("main time").first.inner_text() == shown
    page.goto(console.address)
    page.get_by_role("button", name="Live: on").click()
    page.reload()
    assert page.get_by_role("button", name="Live: off").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_of_each_page(
    browser: Any, console: RunningConsole, week: dict[str, str], tmp_path: Path, scheme: str
) -> None:
    """The pictures of docs/console.md, small enough for a page."""
    folder = PICTURES if os.environ.get("VOICECODE_WRITE_DOCS") else tmp_path
    folder.mkdir(exist_ok=True)
    person = Person(browser, console, "admin", color_scheme=scheme, viewport={"width": 960, "height": 700})
    phone = Person(browser, console, "operator", color_scheme=scheme, viewport=PHONE, locale="zh-CN")
    for name, path in {**week, "phone": "/"}.items():
        somebody = phone if name == "phone" else person
        somebody.page.goto(console.address + (path if name != "plan" else week["failure-queue"]))
        if name == "plan":
            somebody.page.get_by_role("button", name="Plan a replay").click()
            somebody.sees("would be called")
        somebody.page.wait_for_timeout(300)
        file = folder / f"{name}-{scheme}.png"
        somebody.page.screenshot(path=file)
        browsers.shrink(file)
        assert file.stat().st_size < 60_000, name
