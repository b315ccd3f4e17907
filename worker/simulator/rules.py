"""The gateway's own judgement of a form: what it refuses, in which order, and what freezes the account."""

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from config.masking import MOBILE_PATTERN
from worker.simulator.book import Book
from worker.simulator.plays import ACCEPTED, of_number

_CODE: Final = re.compile(r"[0-9]{4,6}")
_MOBILE: Final = re.compile(MOBILE_PATTERN)
_TIME: Final = re.compile(r"[0-9]{10}")
_BALANCE_PLAYS: Final = {"400": "400", "401": "401", "402": "402", "405": "405", "4050": "4050", "408": "4050", "4052": "400"}
"""What a balance query answers while the whole account plays something; it knows fewer codes than Submit."""


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
    """The play chosen for one request, and who chose it (see `Submission.source`)."""

    play: str
    source: str
    signature: str


def judge(form: Mapping[str, str], rules: Rules, book: Book, *, now: float, secure: bool, outage: str | None) -> Verdict:
    """Choose the play for one Submit. `now`: epoch seconds; `secure`: it came over TLS.

    1. An outage of the whole gateway. 2. Credentials. 3. Number and code. 4. The account's state. 5. How often this
    number was tried. 6. Its script. 7. Its magic. 8. The rates. 9. Accepted.
    """
    signed = form.get("account", ""), form.get("mobile", ""), form.get("content", "")
    wrong, signature = _credentials(form, rules, (signed[1], signed[2]), now=now, secure=secure)
    if outage is not None:
        return Verdict(play=outage, source="outage", signature=signature)
    refusal = wrong or _malformed(signed[1], signed[2])
    if refusal:
        if wrong in {"405", "40502"} and form.get("account") == rules.account:
            _count_wrong_key(rules, book)
        return Verdict(play=refusal, source="form", signature=signature)
    book.wrong_keys = 0
    play, source = _play(signed[1], rules, book, now)
    return Verdict(play=play, source=source, signature=signature)


def judge_balance(form: Mapping[str, str], rules: Rules, book: Book, *, now: float, secure: bool, outage: str | None) -> str:
    """Choose the play for one GetNum; `2` with a balance is the everyday one."""
    wrong, _signature = _credentials(form, rules, (), now=now, secure=secure)
    return outage or wrong or _BALANCE_PLAYS.get(book.account_play or "", ACCEPTED)


def _credentials(
    form: Mapping[str, str], rules: Rules, signed: tuple[str, ...], *, now: float, secure: bool
) -> tuple[str | None, str]:
    account, password, time = form.get("account", ""), form.get("password", ""), form.get("time", "")
    if not account:
        return "401", "wrong"
    if not password:
        return "402", "wrong"
    if account != rules.account:
        return "405", "wrong"
    if hmac.compare_digest(password.encode(), rules.apikey.encode()):
        return (None, "plain") if secure or rules.plain_key_over_http else ("405", "plain")
    if not time:
        return "405", "wrong"
    expected = hashlib.md5("".join((account, rules.apikey, *signed, time)).encode(), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(password.encode(), expected.encode()):
        return "40502", "wrong"
    fresh = _TIME.fullmatch(time) and abs(now - int(time)) <= rules.signature_age_seconds
    return (None if fresh else "40501"), "dynamic"


def _malformed(mobile: str, code: str) -> str | None:
    if not mobile:
        return "403"
    if not _MOBILE.fullmatch(mobile):
        return "406"
    if not code:
        return "404"
    return None if _CODE.fullmatch(code) else "4070"


def _count_wrong_key(rules: Rules, book: Book) -> None:
    book.wrong_keys += 1
    if rules.wrong_keys and book.wrong_keys >= rules.wrong_keys:
        book.freeze("4050")


def _play(mobile: str, rules: Rules, book: Book, now: float) -> tuple[str, str]:
    if book.account_play is not None:
        return book.account_play, "account"
    if book.balance <= 0:
        return "4051", "account"
    if rules.per_minute and book.recent(mobile, now, 60.0) >= rules.per_minute:
        book.freeze("408")
        return "408", "rule"
    if rules.per_second and book.recent(mobile, now, 1.0) >= rules.per_second:
        return "4080", "rule"
    scripted = book.scripted(mobile)
    if scripted is not None:
        return scripted, "script"
    magic = of_number(mobile)
    if magic is not None and (magic[1] == 0 or book.magic_plays(mobile) < magic[1]):
        return magic[0], "number"
    drawn = book.drawn()
    return (drawn, "rate") if drawn is not None else (ACCEPTED, "none")
