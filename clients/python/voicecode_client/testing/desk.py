"""VoiceCodes: stands in for Redis and the workers, and is told by a test what shall happen."""

import base64
import contextlib
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from voicecode_client import message, rules
from voicecode_client.testing.ledger import Ledger
from voicecode_client.testing.rows import ROWS, End, row_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SentCode:
    """One code that was put on the queue."""

    key: str
    mobile: str = dataclasses.field(repr=False)
    """11 digits."""
    code: str = dataclasses.field(repr=False)
    purpose: str | None = None
    expires_at: float | None = None
    task_id: str = ""


class VoiceCodes:
    """What the app sent, and what becomes of it: accepted, unless told otherwise.

    Each code ends as soon as it is sent. A number's budget and newer codes are the workers' alone.
    """

    def __init__(self) -> None:
        self.sent: list[SentCode] = []
        self.ledger: Final = Ledger()
        self._plans: list[tuple[str | None, str, int | None]] = []
        self._held: list[str] | None = None
        self._pairs: dict[str, tuple[str, str]] = {}
        self._voice_ids = itertools.count(1)

    def last_code(self, mobile: str | None = None) -> str:
        """Return the code that was sent last, to this number if one is given."""
        found = [sent.code for sent in self.sent if mobile is None or sent.mobile == rules.mobile(mobile)]
        if not found:
            message = f"no code was sent{self._to(mobile)}"
            raise AssertionError(message)
        return found[-1]

    @contextlib.contextmanager
    def expects(
        self, *, mobile: str | None = None, purpose: str | None = None, count: int = 1
    ) -> Iterator[list[SentCode]]:
        """Require that so many codes are sent within the block; the list then holds them."""
        before, found = len(self.sent), list[SentCode]()
        yield found
        new = self.sent[before:]
        found += [sent for sent in new if mobile is None or sent.mobile == rules.mobile(mobile)]
        wrong = [sent.purpose for sent in found if purpose is not None and sent.purpose != purpose]
        if len(found) != count or wrong:
            others = f"; {len(new) - len(found)} went elsewhere" if len(new) > len(found) else ""
            text = f"expected {count} code(s){self._to(mobile)}, and {len(found)} came{others}"
            raise AssertionError(text if not wrong else f"expected purpose {purpose!r}, not {wrong[0]!r}")

    def will(self, row: str | int, *, mobile: str | None = None) -> None:
        """Have the next code (to this number) meet a row at each try: `4030`, `read_timeout`."""
        self._plans.append((None if mobile is None else rules.mobile(mobile), *row_of(row)))

    def will_time_out(self, *, mobile: str | None = None) -> None:
        """Have no reply come for the next code: it ends as `ambiguous`, the phone may have rung."""
        self.will("read_timeout", mobile=mobile)

    def sending_stopped(self, row: str | int = 4051, *, retry_after_seconds: float | None = None) -> None:
        """Have nobody be called from now on: the client refuses each code, and offers SMS."""
        name = row_of(row)[0]
        mends = "time" if ROWS[name] is End.PARKED else "person"
        self.ledger.stop(name, retry_after_seconds, mends=mends)

    def sending_resumed(self) -> None:
        """End that."""
        self.ledger.resume()

    def redis_down(self, *, down: bool = True) -> None:
        """Have each call of the client raise Unavailable."""
        self.ledger.down = down

    @contextlib.contextmanager
    def no_worker(self) -> Iterator[None]:
        """Leave codes `queued` within the block; at its end they are delivered."""
        held: list[str] = []
        self._held = held
        yield
        self._held = None
        for item in held:
            self.deliver(item)

    def carry_out(self, command: list[Any]) -> Any:
        """Answer the client's command as Redis does, and let a worker look at what was queued."""
        answer = self.ledger.carry_out(command)
        while self.ledger.queue:
            item = self.ledger.queue.pop(0)
            self.note(item)
            if self._held is None:
                self.deliver(item)
            else:
                self._held.append(item)
        return answer

    def remember(self, task_id: str, mobile: str, code: str) -> None:
        """Keep number and code of a message that will be sealed: there is no private key here."""
        self._pairs[task_id] = (mobile, code)

    def note(self, item: str) -> None:
        """Enter a message in `sent`."""
        task, task_id, args, named = opened(item)
        if task == message.SEND_TASK:
            pair = self._pairs.get(task_id) or (*args, "", "")[:2]
            named = {name: value for name, value in named.items() if name in {"key", "purpose", "expires_at"}}
            sent = {"key": task_id, **named, "mobile": str(pair[0]), "code": str(pair[1])}
            self.sent.append(SentCode(**sent, task_id=task_id))

    def deliver(self, item: str) -> None:
        """Do what a worker does with a message."""
        task, task_id, args, named = opened(item)
        if task == message.CANCEL_TASK:
            self.ledger.cancel(named["key"])
            return
        pair = self._pairs.get(task_id) or args
        key = named.get("key") or task_id
        try:
            mobile, code = rules.mobile(pair[0]), rules.code(pair[1])
            rules.key(key, mobile), rules.purpose(named.get("purpose"))
        except (rules.BadInput, IndexError):
            self.ledger.end(key, "dead", reason="bad_input")
            return
        if (known := self.ledger.record(key)) is not None:
            if not self.ledger.is_same(known, mobile, code):
                self.ledger.end(task_id, "dead", reason="key_conflict")
            return
        if self.ledger.stopped and self.ledger.mends == "time":
            self.ledger.wait(key, mobile, code, named.get("expires_at"), reply_code=None)
            return
        if self.ledger.stopped:
            self.ledger.begin(key, mobile, code, named.get("expires_at"))
            self.ledger.end(key, "dead", reason="permanent", row=self.ledger.row)
            return
        self._call(key, mobile, code, named.get("expires_at"))

    def _call(self, key: str, mobile: str, code: str, expires_at: float | None) -> None:
        row, reply_code, end = self._planned(mobile)
        self.ledger.begin(key, mobile, code, expires_at)
        if end is End.PARKED:
            self.ledger.wait(key, mobile, code, expires_at, reply_code=reply_code)
            self.ledger.stop(row, None, mends="time")
            return
        state, _, reason = end.value.partition(",")[0].partition(" ")
        if end is End.STOPS:
            reason = "permanent"
            self.ledger.stop(row, None, mends="person")
        more: dict[str, Any] = {"reply_code": reply_code}
        if end is End.ACCEPTED:
            more |= {"voice_id": str(next(self._voice_ids)), "accepted_at": round(time.time(), 3)}
        self.ledger.end(key, state, reason=reason, row=row, **more)

    def _planned(self, mobile: str) -> tuple[str, int | None, End]:
        for number, (wanted, row, code) in enumerate(self._plans):
            if wanted in {None, mobile}:
                del self._plans[number]
                return row, code, ROWS[row]
        return "2", 2, End.ACCEPTED

    @staticmethod
    def _to(mobile: str | None) -> str:
        return "" if mobile is None else f" to {mobile[:3]}****{mobile[-4:]}"


def opened(item: str) -> tuple[str, str, list[Any], dict[str, Any]]:
    """Return task, task id and arguments of a message."""
    read = json.loads(item)
    args, named, _ = json.loads(base64.b64decode(read["body"]))
    return read["headers"]["task"], read["headers"]["id"], args, named
