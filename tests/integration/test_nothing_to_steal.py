"""What a thief would find: RDB, AOF, logs at DEBUG, spill files and exports, searched.

Codes of every fate, sealed by their producer. `VOICECODE_TEST_CODES` asks for more of them.
"""

import base64
import binascii
import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from config import names
from config.settings import load
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.embedded.server import start_server
from worker.failure_queue import FailureQueue, Filter
from worker.failure_queue.spill import spill
from worker.sealing import seals_of
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

COUNT: Final = int(os.environ.get("VOICECODE_TEST_CODES", "60"))
SEAL_KEYS: Final = "2026-11:" + base64.urlsafe_b64encode(b"thief" * 6 + b"xx").decode().rstrip("=")
DIGEST_KEY: Final = "a secret that the thief does not have"
FATES: Final = ("2", "0", "4030", "reset_after_reading", "4085", "http_503")
LENGTH: Final = 6


def number_of(index: int) -> str:
    return f"1{[3, 5, 8, 9][index % 4]}{index * 7_654_321 % 10**9:09d}"


def code_of(index: int) -> str:
    """Return a code; the upper half of them is never used, and is the control."""
    return f"{(index * 104_729 + 123_457) % 10**LENGTH:0{LENGTH}d}"


def spellings(text: str) -> Iterator[bytes]:
    """Return a text in clear, base64 at each of its three places, hex and URL encoding."""
    raw = text.encode()
    yield raw
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + raw).decode().rstrip("=")
        yield encoded[(0, 2, 3)[before] : -1].encode()
    yield binascii.hexlify(raw)
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    if (quoted := quote(text).encode()) != raw:
        yield quoted


def hits(loot: bytes, wanted: list[str]) -> int:
    """Count those that are found; six digits count only where they stand by themselves."""
    found = 0
    for text in wanted:
        whole = [re.escape(part) for part in spellings(text)]
        found += bool(re.search(rb"(?<![0-9A-Za-z.])(?:" + b"|".join(whole) + rb")(?![0-9A-Za-z])", loot))
    return found


def digests_of(text: str) -> Iterator[bytes]:
    """Return what somebody without the key may compute of a guess."""
    for algorithm in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2b):
        yield algorithm(text.encode()).hexdigest()[:20].encode()
    yield hashlib.blake2b(text.encode(), digest_size=16).hexdigest()[:20].encode()


@pytest.fixture
def sandbox(sandbox_simulator: RunningSimulator, tmp_path: Path) -> Iterator[Sandbox]:
    """Return a Redis that keeps its file, and may be told to write snapshots."""
    sandbox_simulator.client.reset()
    data = tmp_path / "redis"
    with start_server(data_dir=data) as server, Sandbox(server, sandbox_simulator, tmp_path) as sandbox:
        yield sandbox


def loot_of(sandbox: Sandbox, folder: Path) -> dict[str, bytes]:
    """Return all files by what they are, after a snapshot. The append-only file has the history."""
    sandbox.redis.config_set("rdbcompression", "no")
    sandbox.redis.save()
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop("journal", None)  # the gateway's, which must know what to call
    return found


@pytest.mark.timeout(900)
def test_a_thief_finds_no_number_and_no_code(sandbox: Sandbox, tmp_path: Path) -> None:
    spill_dir = tmp_path / "spill"
    spill_dir.mkdir()
    values: dict[str, Any] = {
        "seal_keys": SEAL_KEYS,
        "digest_key": DIGEST_KEY,
        "log_level": "DEBUG",
        "celery_log_level": "DEBUG",
        "stop_sending": False,
        "number_per_minute": 0,
        "spill_dir": str(spill_dir),
    }
    workers = [sandbox.worker(**values)]
    seals = seals_of(load(_env_file=None, seal_keys=SEAL_KEYS))
    assert seals is not None
    producer = sandbox.producer()
    for index in range(COUNT):
        mobile, code, key = number_of(index), code_of(index), f"k{index:06}"
        sandbox.gateway.script(mobile, [FATES[index % len(FATES)]] * 6 if index % 6 else ["2"])
        kept_for = key if index % 10 != 9 else "moved"  # one in ten is refused
        more = {"key": key, "expires_at": time.time() + 120, "sealed": seals.seal(mobile, code, key=kept_for)}
        producer.send_task(names.SEND_TASK, kwargs=more, queue=names.QUEUE)
    keys = [f"k{index:06}" for index in range(COUNT)]
    wait_for(
        lambda: all(state in {"accepted", "dead"} for state in sandbox.states(keys)),
        LIMIT_SECONDS + COUNT / 5,
        "all ends",
    )
    settings = load(_env_file=None, broker_url=sandbox.url, **values)
    with connect(settings) as client:
        queue = FailureQueue(client, settings, operator="ops", clock_offset=1_000.0)
        assert queue.export(spill_dir / "export.jsonl", Filter(), unmasked=True)
        queue.export(spill_dir / "masked.jsonl", Filter())
        assert spill(queue, spill_dir, 5)
    assert [worker.stop() for worker in workers] == [0]

    loot = loot_of(sandbox, tmp_path)
    everything = b"\n".join(loot.values())
    assert any(name.endswith(".rdb") for name in loot)
    assert any(".aof" in name for name in loot)
    assert any("worker" in name for name in loot)
    numbers, codes = ([of(index) for index in range(COUNT)] for of in (number_of, code_of))
    control = [code_of(index) for index in range(COUNT, 2 * COUNT)]

    assert hits(everything, numbers) == 0
    assert hits(everything, codes) <= hits(everything, control) + COUNT // 1_000
    guesses = {
        *numbers,
        *codes,
        *(
            f"{mobile}{between}{code}"
            for mobile, code in zip(numbers, codes, strict=True)
            for between in ("", "\0", " ")
        ),
    }
    assert [guess for guess in guesses for made in digests_of(guess) if made in everything] == []
    # The search finds what it looks for.
    planted = everything + b" " + b" ".join(spellings(numbers[0]))
    assert hits(planted, numbers) == 1
