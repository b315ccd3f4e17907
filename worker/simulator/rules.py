"""The gateway's judgement of a form: what it refuses, in which order, what freezes an account."""

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Final

from config.masking import MOBILE_PATTERN
from worker.simulator.accounts import Account
from worker.simulator.journal import Journal
from worker.simulator.scenarios import ACCEPTED, of_number

_CODE: Final = re.compile(r"[0-9]{4,6}")
_MOBILE: Final = re.compile(MOBILE_PATTERN)
_TIME: Final = re.compile(r"[0-9]{10}")
_FROZEN: Final = "408"
_GETNUM_CODES: Final = {
    "400": "400",
    "401": "401",
    "402": "402",
    "405": "405",
    "4050": "4050",
    "408": "4050",
    "4052": "400",
}
"""What GetNum answers while submissions meet a reply code: it knows fewer codes than Submit."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The limits of the simulated gateway. A limit of 0 is off."""

    signature_age_seconds: float = 300.0
    per_second: int = 1
    """Submissions to one number within a second. One more is answered 4080."""
    per_minute: int = 10
    """Submissions to one number within a minute. One more freezes the account (408)."""
    wrong_keys: int = 0
    """So many wrong keys in a row freeze the account (408)."""
    plain_key_over_http: bool = False
    """Whether the APIKEY itself is accepted without TLS."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The scenario chosen for one request, and who chose it (see `Submission.source`)."""

    scenario: str
    source: str
    signature: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request to be judged."""

    form: Mapping[str, str] = dataclasses.field(repr=False)
    at: float
    """Epoch seconds."""
    secure: bool
    """Whether it came over TLS."""
    address: str = ""
    """The client's address."""
    outage: str | None = None
    """The scenario of the whole gateway during an outage."""


def judge(received: Received, rules: Rules, journal: Journal) -> Verdict:
    """Choose the scenario for one Submit.

    1. An outage of the whole gateway. 2. The client's address. 3. Credentials. 4. Number and code.
    5. The account's state. 6. How often this number was tried. 7. The number's script. 8. The
    number's magic. 9. The rates. 10. Accepted.
    """
    form = received.form
    mobile, code = form.get("mobile", ""), form.get("content", "")
    account = journal.accounts.get(form.get("account", ""))
    wrong, signature = _credentials(received, rules, account, mobile + code)
    if received.outage is not None:
        return Verdict(scenario=received.outage, source="outage", signature=signature)
    if received.address in journal.addresses:
        return Verdict(scenario=journal.addresses[received.address], source="address", signature=signature)
    refusal = wrong or _malformed(mobile, code)
    if account is None or refusal:
        if account is not None and wrong in {"405", "40502"}:
            _count_wrong_key(account, rules, journal)
        return Verdict(scenario=refusal or "405", source="form", signature=signature)
    account.wrong_keys = 0
    choices: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("account", lambda: account.scenario or (None if account.balance > 0 else "4051")),
        ("rule", lambda: _too_often(account, mobile, rules, journal, received.at)),
        ("script", lambda: journal.scripted(mobile)),
        ("number", lambda: _magic(mobile, journal)),
        ("rate", journal.drawn),
    )
    for source, choose in choices:
        scenario = choose()
        if scenario is not None:
            return Verdict(scenario=scenario, source=source, signature=signature)
    return Verdict(scenario=ACCEPTED, source="none", signature=signature)


def judge_getnum(received: Received, rules: Rules, journal: Journal) -> str:
    """Choose the scenario for one GetNum. `2` with a balance is the usual one."""
    account = journal.accounts.get(received.form.get("account", ""))
    wrong, _signature = _credentials(received, rules, account, "")
    address = journal.addresses.get(received.address)
    if address in _GETNUM_CODES:
        address = _GETNUM_CODES[address]
    known = received.outage or address or wrong
    if known or account is None:
        return known or "405"
    return account.getnum_scenario or _GETNUM_CODES.get(account.scenario or "", ACCEPTED)


def _credentials(
    received: Received, rules: Rules, account: Account | None, signed: str
) -> tuple[str | None, str]:
    """Return the reply code of a refusal, or None, and the kind of the signature."""
    name, password, time = (received.form.get(field, "") for field in ("account", "password", "time"))
    if not name or not password:
        return ("402" if name else "401"), "wrong"
    if account is None:
        return "405", "wrong"
    if any(_same(password, key) for key in account.apikeys):
        return (None if received.secure or rules.plain_key_over_http else "405"), "plain"
    if not time:
        return "405", "wrong"
    texts = (f"{name}{key}{signed}{time}".encode() for key in account.apikeys)
    if not any(_same(password, hashlib.md5(text, usedforsecurity=False).hexdigest()) for text in texts):
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


def _count_wrong_key(account: Account, rules: Rules, journal: Journal) -> None:
    account.wrong_keys += 1
    if rules.wrong_keys and account.wrong_keys >= rules.wrong_keys:
        journal.freeze(account, _FROZEN)


def _too_often(account: Account, mobile: str, rules: Rules, journal: Journal, now: float) -> str | None:
    if rules.per_minute and journal.recent(account.name, mobile, now, 60.0) >= rules.per_minute:
        journal.freeze(account, _FROZEN)
        return _FROZEN
    too_soon = rules.per_second and journal.recent(account.name, mobile, now, 1.0) >= rules.per_second
    return "4080" if too_soon else None


def _magic(mobile: str, journal: Journal) -> str | None:
    asked = of_number(mobile)
    if asked is None:
        return None
    scenario, times = asked
    return scenario if times == 0 or journal.magic_count(mobile) < times else None
