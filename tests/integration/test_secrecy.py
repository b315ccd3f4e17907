"""Nothing that we write holds a number, code, key or signature in full, even at DEBUG.

The tests search everything that the process wrote, each Redis key's name, the hints, and the events
it published. Values are distinctive and numbers unique: whatever shows can be traced to its fate.
"""

import base64
import hashlib
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from config import names
from config.settings import Settings
from tests.support.ledger_driver import LedgerDriver
from tests.support.service import Service, new_key, running_service
from tests.support.simulator import ACCOUNT
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.store.digests import Digests

APIKEY: Final = "hush/e8f1+2d=apikey"
SCENARIOS: Final = {
    "accepted": ["2"],
    "retried": ["0", "http_503:0.1", "2"],
    "dead": ["4050"],
    "echoed": ["4070"],
    "ambiguous": ["reset_after_reading", "html"],
    "silent": ["silent", "2"],
}
WAITING: Final = "waiting"
LAST_EVENT: Final = "no more events"
BUGS: Final = ("parse", "claim", "form", "submit", "read", "decide", "finish", "report")


@dataclass
class Said:
    """Everything that was written during the scenario."""

    log: str
    keys: str
    hints: str
    events: str
    codes: dict[str, tuple[str, str]]
    """Fate -> number, code."""
    seconds: range
    """Epoch seconds at which a signature may have been made."""


def number_and_code(index: int) -> tuple[str, str]:
    return f"159{index:02}68{index:02}73", f"7{index:02}29{index % 7}"


def written(mobile: str, index: int) -> str:
    """Write the number as one producer or another does."""
    spaced = f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}"
    return (mobile, f"+86{mobile}", f"+86 {spaced}", spaced.replace(" ", "-"), f"0086-{spaced}")[index % 5]


OTHERS: Final[dict[str, Callable[[Service, str, str, str], str]]] = {
    "duplicate": lambda service, shown, code, _key: service.send(
        shown, code, headers={"task_id": service.send(shown, code)}
    ),
    "number-for-code": lambda service, shown, code, _key: service.send(shown, int(code)),
    "conflict": lambda service, shown, code, _key: service.send(
        shown, code, key=service.ended(service.send(shown, "000001")).key
    ),
    "bad-key": lambda service, shown, code, _key: service.send(shown, code, key=f"login:{shown}"),
    "number-as-id": lambda service, shown, code, _key: (
        "id:" + digests(service).name(service.send(shown, code, headers={"task_id": bare(shown)}))
    ),
    "unknown-task": lambda service, shown, code, _key: str(
        service.producer.send_task("read_aloud", args=[shown, code], queue=names.QUEUE).id
    ),
    "garbage": lambda service, shown, code, _key: garbage(service, f"call {shown} and say {code}"),
    "no-message": lambda service, shown, code, _key: garbage(service, json.dumps({"body": [shown, code]})),
}
"""Fate -> what sends it and returns the key under which its end will stand.

(service, number, code, a fresh key)
"""


def digests(service: Service) -> Digests:
    """Return digests under the key that the worker left in Redis."""
    return Digests(service.redis, Settings(_env_file=None))


def bare(shown: str) -> str:
    return re.sub(r"[^0-9]", "", shown)[-11:]


def garbage(service: Service, item: str) -> str:
    service.redis.lpush(names.QUEUE, item)
    salted = digests(service).salt + item
    return "raw:" + hashlib.sha1(salted.encode(), usedforsecurity=False).hexdigest()


def send_all(service: Service) -> dict[str, tuple[str, str]]:
    """Send a code to every fate, and wait until all of them have ended; one waits."""
    fates = [*SCENARIOS, *(f"bug-{step}" for step in BUGS), *OTHERS]
    codes = {fate: number_and_code(index) for index, fate in enumerate(fates)}
    ends = []
    for index, (fate, (mobile, code)) in enumerate(codes.items()):
        key, shown = new_key(), written(mobile, index)
        if fate in OTHERS:
            key = OTHERS[fate](service, shown, code, key)
        else:
            service.simulator.client.script(mobile, SCENARIOS.get(fate, []))
            service.send(shown, code, key=key, purpose=fate)
        ends.append(key)
    for key in ends:
        service.ended(key, 30)
    codes["waiting"] = number_and_code(len(fates))
    service.send(*codes["waiting"], key=WAITING, headers={"countdown": 200})
    wait_for(lambda: service.record(WAITING), LIMIT_SECONDS, "the code that waits")
    return codes


def hints(service: Service) -> str:
    """Have upkeep hint the waiting code while the worker is frozen; return the queue's items."""
    service.worker.signal(signal.SIGSTOP)
    driver = LedgerDriver(service.server.url)
    driver.later(230)
    assert driver.upkeep().hinted
    driver.close()
    messages: Any = [
        item for name in (names.QUEUE, names.HINTS) for item in service.redis.lrange(name, 0, -1)
    ]
    service.worker.signal(signal.SIGCONT)
    return "\n".join(message + str(json.loads(message)["body"]) for message in messages)


def drained(pubsub: Any) -> str:
    """Return everything that was published, as it was and decoded."""
    texts = []
    while message := pubsub.get_message(timeout=1):
        if message["type"] == "pmessage":
            texts += [str(message["channel"]), message["data"].decode()]
            if texts[-1] == LAST_EVENT:
                break
            texts.append(base64.b64decode(json.loads(texts[-1])["body"]).decode())
    return "\n".join(texts)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Said]:
    folder = tmp_path_factory.mktemp("secrecy")
    values: dict[str, Any] = {"apikey": APIKEY, "log_level": "DEBUG", "celery_log_level": "DEBUG"}
    began = int(time.time())
    with running_service(
        folder, app="tests.support.buggy_app", options=("-E", "-l", "debug"), **values
    ) as service:
        with service.server.client() as listener, listener.pubsub() as pubsub:
            pubsub.psubscribe("*")
            codes = send_all(service)
            service.redis.publish("test", LAST_EVENT)
            events = drained(pubsub)
        on_queue = hints(service)
        key_names: Any = service.redis.keys("*")
        service.worker.stop()
        log = (folder / "worker.log").read_text()
        yield Said(log, "\n".join(key_names), on_queue, events, codes, range(began - 1, int(time.time()) + 2))


def spellings(text: str) -> set[str]:
    """Return what a base64 text holds wherever `text` stands in what was encoded."""
    encoded = (base64.b64encode(b"x" * before + text.encode()).decode().rstrip("=") for before in range(3))
    return {piece[skip:-1] for piece, skip in zip(encoded, (0, 2, 3), strict=True)}


def shown(text: str, said: Said) -> list[str]:
    """Return what shows in a text though it must not, as `<fate>: <what>`."""
    found = []
    if APIKEY in text or "hush%2Fe8f1%2B2d%3Dapikey" in text:
        found.append("the APIKEY")
    for fate, (mobile, code) in said.codes.items():
        spaced = r"[\s-]*".join(mobile)
        if re.search(rf"(?<!\d){spaced}(?!\d)|{mobile}", text):
            found.append(f"{fate}: number")
        if re.search(rf"(?<![0-9a-f.]){code}(?![0-9a-f])", text):
            found.append(f"{fate}: code")
        if any(
            piece in text
            for piece in spellings(mobile) | spellings(written(mobile, list(said.codes).index(fate)))
        ):
            found.append(f"{fate}: number in base64")
        for second in said.seconds:
            signed = f"{ACCOUNT}{APIKEY}{mobile}{code}{second}".encode()
            if hashlib.md5(signed, usedforsecurity=False).hexdigest() in text:
                found.append(f"{fate}: signature")
    return found


def test_nothing_that_the_worker_wrote_shows_a_secret(said: Said) -> None:
    assert shown(said.log, said) == []


@pytest.mark.parametrize("part", ["keys", "hints", "events"])
def test_no_key_name_hint_or_event_shows_a_secret(said: Said, part: str) -> None:
    assert shown(getattr(said, part), said) == []


def test_what_was_looked_through_is_what_was_meant(said: Said) -> None:
    """Each fate left its trace, crashes with masked tracebacks too: the logs were not empty."""
    for event in (
        "attempt.finished",
        "dead_letter.written",
        "attempt.skipped",
        "attempt.crashed",
        "task.crashed",
        "upkeep.ran",
    ):
        assert f'"event": "{event}"' in said.log, event
    for step in BUGS:
        assert re.search(rf"RuntimeError: bug in {step}: 号码(\+86|0086)?[\s-]?159\*\*\*\*", said.log), step
    for mobile, _ in list(said.codes.values())[:6]:
        assert f"159****{mobile[-4:]}" in said.log
    assert '"logger": "kombu' in said.log or '"logger": "celery' in said.log
    assert re.search(r'"level": "debug"', said.log)
    assert LAST_EVENT in said.events
    assert names.RESUME_TASK in said.hints
    assert names.DEAD in said.keys
    assert f"{names.RECORD_PREFIX}id:" in said.keys


def test_the_search_finds_what_it_looks_for(said: Said) -> None:
    """However a secret is spelled."""
    mobile, code = said.codes["dead"]
    body = base64.b64encode(json.dumps([[mobile, code], {}, {}]).encode()).decode()
    signed = hashlib.md5(
        f"{ACCOUNT}{APIKEY}{mobile}{code}{said.seconds[1]}".encode(), usedforsecurity=False
    ).hexdigest()
    for text in (
        mobile,
        f"x{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
        f"验证码{code}。",
        body,
        signed,
        APIKEY,
    ):
        assert shown(text, said), text
