"""The gateway's own judgement of a form: what it refuses, in which order, and what freezes the account."""

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Final

from config.masking import MOBILE_PATTERN
from worker.simulator.journal import Journal
from worker.simulator.scenarios import ACCEPTED, of_number

_CODE: Final = re.compile(r"[0-9]{4,6}")
_MOBILE: Final = re.compile(MOBILE_PATTERN)
_TIME: Final = re.compile(r"[0-9]{10}")
_BALANCE_SCENARIOS: Final = {
    "400": "400",
    "401": "401",
    "402": "402",
    "405": "405",
    "4050": "4050",
    "408": "4050",
    "4052": "400",
}
"""What a balance query answers while the whole account is in a scenario; it knows fewer codes than Submit."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the simulated gateway insists on. Limits of 0 are off."""

    account: str
    apikey: str = dataclasses.field(repr=False)
    signature_age_seconds: float = 300.0
    per_second: int = 1
    """Submissions to one number within a second; one more is answered 4080."""
    per_minute: int = 10
    """Submissions to one number within a minute; one more freezes the account (408)."""
    wrong_keys: int = 0
    """So many wrong keys in a row freeze the account (4050)."""
    plain_key_over_http: bool = False
    """Whether the APIKEY itself is taken without TLS."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The scenario chosen for one request, and who chose it (see `Submission.source`)."""

    scenario: str
    source: str
    signature: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it is judged."""

    form: Mapping[str, str] = dataclasses.field(repr=False)
    at: float
    """Epoch seconds."""
    secure: bool
    """It came over TLS."""
    outage: str | None = None
    """The scenario of the whole gateway, where one is on."""


def judge(received: Received, rules: Rules, journal: Journal) -> Verdict:
    """Choose the scenario for one Submit.

    1. An outage of the whole gateway. 2. Credentials. 3. Number and code. 4. The account's state. 5. How often this
    number was tried. 6. Its script. 7. Its magic. 8. The rates. 9. Accepted.
    """
    form = received.form
    mobile, code = form.get("mobile", ""), form.get("content", "")
    wrong, signature = _credentials(received, rules, mobile + code)
    if received.outage is not None:
        return Verdict(scenario=received.outage, source="outage", signature=signature)
    refusal = wrong or _malformed(mobile, code)
    if refusal:
        if wrong in {"405", "40502"} and form["account"] == rules.account:
            _count_wrong_key(rules, journal)
        return Verdict(scenario=refusal, source="form", signature=signature)
    journal.wrong_keys = 0
    choices: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("account", lambda: journal.account_scenario or (None if journal.balance > 0 else "4051")),
        ("rule", lambda: _too_often(mobile, rules, journal, received.at)),
        ("script", lambda: journal.scripted(mobile)),
        ("number", lambda: _magic(mobile, journal)),
        ("rate", journal.drawn),
    )
    for source, choose in choices:
        scenario = choose()
        if scenario is not None:
            return Verdict(scenario=scenario, source=source, signature=signature)
    return Verdict(scenario=ACCEPTED, source="none", signature=signature)


def judge_balance(received: Received, rules: Rules, journal: Journal) -> str:
    """Choose the scenario for one GetNum; `2` with a balance is the everyday one."""
    wrong, _signature = _credentials(received, rules, "")
    return received.outage or wrong or _BALANCE_SCENARIOS.get(journal.account_scenario or "", ACCEPTED)


def _credentials(received: Received, rules: Rules, signed: str) -> tuple[str | None, str]:
    """Return the reply code of a refusal, or None, and the form of the signature."""
    account, password, time = (received.form.get(name, "") for name in ("account", "password", "time"))
    if not account or not password:
        return ("402" if account else "401"), "wrong"
    if account == rules.account and _same(password, rules.apikey):
        return (None if received.secure or rules.plain_key_over_http else "405"), "plain"
    if account != rules.account or not time:
        return "405", "wrong"
    if not _same(
        password,
        hashlib.md5(f"{account}{rules.apikey}{signed}{time}".encode(), usedforsecurity=False).hexdigest(),
    ):
        return "40502", "wrong"
    fresh = _TIME.fullmatch(time) and abs(received.at - int(time)) <= rules.signature_age_seconds
    return (None if fresh else "40501"), "dynamic"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _malformed(mobile: str, code: str) -> str | None:
    if not mobile:
        return "403"
    if not _MOBILE.fullmatch(mobile):
        return "406"
    if not code:
        return "404"
    return None if _CODE.fullmatch(code) else "4070"


def _count_wrong_key(rules: Rules, journal: Journal) -> None:
    journal.wrong_keys += 1
    if rules.wrong_keys and journal.wrong_keys >= rules.wrong_keys:
        journal.freeze("4050")


def _too_often(mobile: str, rules: Rules, journal: Journal, now: float) -> str | None:
    if rules.per_minute and journal.recent(mobile, now, 60.0) >= rules.per_minute:
        journal.freeze("408")
        return "408"
    return "4080" if rules.per_second and journal.recent(mobile, now, 1.0) >= rules.per_second else None


def _magic(mobile: str, journal: Journal) -> str | None:
    asked = of_number(mobile)
    if asked is None:
        return None
    scenario, times = asked
    return scenario if times == 0 or journal.magic_count(mobile) < times else None
