"""Ledger: the few commands of Redis that the client uses, on dictionaries."""

import time
from collections.abc import Callable
from typing import Any, Final

import redis

from voicecode_client import core

STATUS: Final = {"state": "", "reason": "", "reply_code": "", "voice_id": "", "mobile": "", "code": ""}


class Ledger:
    """Codes' records, marks of what was sent, whether anybody is called, and fates."""

    def __init__(self) -> None:
        self.queue: list[str] = []
        self.down = False
        self.stopped = False
        self.row = ""
        self.mends = ""
        self._retry_after: float | None = None
        self._records: dict[str, dict[str, str]] = {}
        self._marks: dict[str, str] = {}
        self._fates: list[tuple[str, dict[str, str]]] = []
        self._commands: dict[str, Callable[..., Any]] = {
            "EVALSHA": self._send,
            "HMGET": self._fields,
            "EXISTS": self._exists,
            "LPUSH": self._push,
            "XREAD": self._read,
        }

    def carry_out(self, command: list[Any]) -> Any:
        """Answer a command as Redis does."""
        if self.down:
            message = "the test says that Redis is down"
            raise redis.ConnectionError(message)
        return self._commands[command[0]](*command[1:])

    def record(self, key: str) -> dict[str, str] | None:
        """Return a code's record."""
        return self._records.get(key)

    def begin(self, key: str, mobile: str, code: str, expires_at: float | None) -> None:
        """Begin the record of a code that a worker looks at."""
        ends = round(time.time() + 300, 3) if expires_at is None else expires_at
        self._records[key] = {**STATUS, "mobile": mobile, "code": code, "expires_at": str(ends)}

    def wait(
        self, key: str, mobile: str, code: str, expires_at: float | None, *, reply_code: int | None
    ) -> None:
        """Park a code."""
        self.begin(key, mobile, code, expires_at)
        self._records[key] |= {"state": "waiting", "reply_code": _text(reply_code)}

    def end(self, key: str, state: str, *, reason: str = "", row: str = "", **more: Any) -> None:
        """Write the end of a code."""
        record = self._records.setdefault(key, dict(STATUS))
        record |= {"state": state, "reason": reason, **{name: _text(value) for name, value in more.items()}}
        if state == "accepted":
            record |= {"mobile": record["mobile"][:3] + "****" + record["mobile"][-4:], "code": ""}
        number = len(self._fates) + 1
        fate = {"n": str(number), "key": key, "state": state, "reason": reason, "row": row}
        self._fates.append((f"{int(time.time() * 1000)}-{number}", fate))

    def cancel(self, key: str) -> None:
        """Withdraw a code that waits or has not come; leave others as they are."""
        if (record := self._records.get(key)) is None or record["state"] == "waiting":
            self._records[key] = dict(STATUS)
            self.end(key, "cancelled")

    def stop(self, row: str, retry_after_seconds: float | None, *, mends: str) -> None:
        """Have nobody be called."""
        self.stopped, self.row, self.mends = True, row, mends
        self._retry_after = retry_after_seconds

    def resume(self) -> None:
        """Have everybody be called again, the codes that wait included."""
        self.stopped, self.row, self.mends = False, "", ""
        for key in [key for key, record in self._records.items() if record["state"] == "waiting"]:
            self.end(key, "accepted", row="2", reply_code=2, voice_id="1", accepted_at=round(time.time(), 3))

    @staticmethod
    def is_same(record: dict[str, str], mobile: str, code: str) -> bool:
        """Whether a record is of this number and code, as far as it still holds them."""
        held = mobile[:3] + "****" + mobile[-4:] if "*" in record["mobile"] else mobile
        return record["mobile"] in {"", held} and record["code"] in {"", code}

    def _send(self, _sha: str, _count: int, *given: Any) -> list[str]:
        """Do what `send.lua` does."""
        _queue, _mark, key, token, mobile, code, expires_at, _life, written = given
        record, mark = self._records.get(key), self._marks.get(key)
        if mark == token:
            return ["sent", str(expires_at)]
        if record is not None:
            if code and not self.is_same(record, mobile, code):
                return ["conflict"]
            return ["known", record["state"], record["reason"]]
        if mark is not None:
            return ["known", "queued", ""]
        if self.stopped:
            left = 600.0 if self.mends == "time" and self._retry_after is None else self._retry_after
            return ["stopped", self.row, _text(left)]
        self._marks[key] = token
        self.queue.append(written)
        return ["sent", str(expires_at)]

    def _fields(self, name: str, *fields: str) -> list[str | None]:
        record = self._records.get(name.removeprefix(core.RECORD_PREFIX), {})
        return [record.get(field) or None for field in fields]

    def _exists(self, name: str) -> int:
        return int(name.removeprefix(core.SENT_PREFIX) in self._marks)

    def _push(self, _queue: str, item: str) -> int:
        self.queue.append(item)
        return len(self.queue)

    def _read(self, *words: Any) -> list[Any]:
        after = words[-1]
        past = 0 if after == "0" else [entry for entry, _ in self._fates].index(after) + 1
        return [[core.FATES, [(entry, dict(fate)) for entry, fate in self._fates[past : past + 100]]]]


def _text(value: Any) -> str:
    return "" if value is None else str(value)
