"""A ledger of version 0.1.0: its very scripts, called as its workers called them."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from config import names
from worker.message import VoiceCode
from worker.store import keys

_SCRIPTS: Final = Path(__file__).with_name("version_0_1_0")
_VERSION: Final = 1
_LEASE_SECONDS: Final = 15
_NO_LENIENCE: Final = 0
_AMBIGUOUS_RETRIES: Final = 1
_MAX_ATTEMPTS: Final = 5
_LIFE_SECONDS: Final = 300
_NEWEST_SECONDS: Final = 3600
_KEPT_SECONDS: Final = 86_400


def digest(code: VoiceCode) -> str:
    """Return the digest of number and code as version 0.1.0 made it: without a key."""
    return hashlib.blake2b(f"{code.mobile}\0{code.code}".encode(), digest_size=16).hexdigest()


def _life(key: str) -> list[str]:
    return [keys.record(key), *keys.LIVES_0_1_0, names.DEAD]


class OldLedger:
    """The scripts of version 0.1.0 on a client that decodes answers."""

    def __init__(self, client: Any) -> None:
        self.clock_offset = 0.0
        self._scripts = {
            path.stem: client.register_script(path.read_text("utf-8")) for path in _SCRIPTS.glob("*.lua")
        }

    def claim(self, code: VoiceCode, *, token: str) -> list[Any]:
        """Claim as for a message, and return the answer as it is."""
        expires_at = "" if code.expires_at is None else f"{code.expires_at:.3f}"
        content = [digest(code), code.mobile, code.code, code.purpose or "", "t", expires_at]
        return self._ask(code.key, token, [*content, _LIFE_SECONDS, "", _NEWEST_SECONDS])

    def resume(self, key: str, *, token: str) -> list[Any]:
        """Claim as for a hint."""
        return self._ask(key, token, [])

    def finish(self, key: str, *, token: str, attempt: int, outcome: str, reason: str = "") -> list[Any]:
        """Record `accepted`, `retry` or `dead`."""
        entry = json.dumps({"token": token, "row": "2" if outcome == "accepted" else "0"})
        reply = ["2", "message", "2", "ok", "16842079209571524017", "", _KEPT_SECONDS, ""]
        ended = [key, token, attempt, outcome, entry, "0", 1, reason]
        return self._run("finish", _life(key), [*ended, *reply])

    def upkeep(self, *, token: str) -> list[Any]:
        """Bury what has expired and hint what is due."""
        lists = [*keys.LIVES_0_1_0, names.DEAD, names.QUEUE, names.HINTS]
        run = [token, names.RECORD_PREFIX, _LEASE_SECONDS, 200, _NO_LENIENCE]
        return self._run("upkeep", lists, [*run, names.RESUME_TASK, 1000, 200])

    def _ask(self, key: str, token: str, content: list[Any]) -> list[Any]:
        numbers = [_LEASE_SECONDS, _NO_LENIENCE, _AMBIGUOUS_RETRIES, _MAX_ATTEMPTS, ""]
        return self._run("claim", [*_life(key), names.FETCHED], [key, token, "old", *numbers, *content])

    def _run(self, script: str, redis_keys: list[str], arguments: list[Any]) -> list[Any]:
        answer: list[Any] = self._scripts[script](
            keys=redis_keys, args=[self.clock_offset, _VERSION, *arguments]
        )
        return answer
