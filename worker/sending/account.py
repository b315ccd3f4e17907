"""Account: how an operator sees, holds and resumes sending."""

import dataclasses
import json
import secrets
from typing import Any

from config import names
from worker.sending.state import Sending
from worker.store import scripts
from worker.store.scripts import Script


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """One live worker, by its last report."""

    worker: str
    host: str
    version: str
    slots: int
    in_flight: int
    """Messages that its threads work on."""
    config: str
    """Digest of its configuration."""
    standby: bool
    unfit: str
    """The row that made it unfit; empty while it is fit."""
    blocked: str
    """The row that blocks its configuration; empty if none does."""
    seen_at: float
    """Epoch seconds."""


class Account:
    """`client`: a redis-py client that decodes answers. `operator`: the name in the audit trail.

    Every method raises redis-py's errors.
    """

    def __init__(self, client: Any, *, operator: str = "") -> None:
        self._client = client
        self._operator = operator
        self._command = Script(client, "sending/command")

    def sending(self) -> Sending:
        """Return whether the fleet sends, and why not."""
        return Sending.from_hash(self._client.hgetall(names.SENDING))

    def balance(self) -> tuple[int, float] | None:
        """Return calls left and the answer's epoch seconds; None if nobody has asked yet."""
        known = self._client.hgetall(names.BALANCE)
        return (int(known["balance"]), float(known["asked_at"])) if "balance" in known else None

    def workers(self) -> tuple[WorkerSeen, ...]:
        """Return the workers that reported within the last minute, by name."""
        blocked = self._client.hgetall(f"{names.SENDING}:configs")
        now = float(self._client.time()[0])
        said = [json.loads(value) for value in self._client.hvals(f"{names.SENDING}:fleet")]
        seen = (_worker(facts, blocked) for facts in said if facts["at"] > now - 60)
        return tuple(sorted(seen, key=lambda worker: worker.worker))

    def hold(self, note: str = "") -> bool:
        """Stop sending until somebody resumes it. Return False if it was held already."""
        return bool(self._run("hold", note))

    def resume(self, note: str = "") -> str:
        """Let the fleet try one code, then ten, then all.

        Return `trial`; `unblocked` if it sends already, and accounts that were refused may try
        again; or nothing.
        """
        return self._run("resume", note)

    def _run(self, command: str, note: str) -> str:
        transition, _ = self._command(
            [names.SENDING],
            clock_offset=0,
            version=names.RECORD_VERSION,
            command=command,
            who=self._operator,
            note=note,
            config="",
            row="",
            purse=names.PURSE_PREFIX,
            token=secrets.token_hex(8),
        )
        return scripts.text(transition)


def _worker(facts: dict[str, Any], blocked: dict[str, str]) -> WorkerSeen:
    block = blocked.get(facts["config"])
    return WorkerSeen(
        worker=facts.get("worker", ""),
        host=facts.get("host", ""),
        version=facts.get("version", ""),
        slots=int(facts.get("slots", 0)),
        in_flight=int(facts.get("in_flight", 0)),
        config=facts["config"],
        standby=bool(facts.get("standby")),
        unfit=facts["unfit"]["row"] if "unfit" in facts else "",
        blocked=json.loads(block)["row"] if block else "",
        seen_at=facts["at"],
    )
