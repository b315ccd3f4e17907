"""What a thief would find: RDB, AOF, logs at DEBUG, spill files and exports, searched.

Codes of every fate, sealed by their producer. `./run test -m chaos` does it with ten thousand.
"""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from click.testing import CliRunner

from config import names
from config.settings import load
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, environment, wait_for
from worker.cli import voicecode
from worker.embedded.server import start_server
from worker.failure_queue import FailureQueue, Filter
from worker.failure_queue.spill import spill
from worker.sealing import Seals, seals_of
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

SEAL_KEYS: Final = "2026-11:" + base64.urlsafe_b64encode(b"thief" * 6 + b"xx").decode().rstrip("=")
DIGEST_KEY: Final = "a secret that the thief does not have"
FATES: Final = ("2", "0", "4030", "reset_after_reading", "4085", "http_503")
SHOWING: Final = (
    *("dead list", "dead list --json", "dead stats", "dead show k000002", "dead show k000007"),
    *("status", "status k000000", "account status", "dead audit", "dead runs", "check"),
)
LENGTH: Final = 6
WINDOW: Final = 20
"""Digits of a digest that are compared."""


def number_of(index: int) -> str:
    return f"1{[3, 5, 8, 9][index % 4]}{index * 7_654_321 % 10**9:09d}"


def code_of(index: int) -> str:
    """Return a code; the upper half of them is never used, and is the control."""
    return f"{(index * 104_729 + 123_457) % 10**LENGTH:0{LENGTH}d}"


def spellings(text: str) -> Iterator[bytes]:
    """Return a text inside of others: in clear, base64 at each of three places, hex, and URL."""
    raw = text.encode()
    yield b'["' + raw + b'"]'
    for before in range(3):
        yield base64.b64encode(b"[" * before + b'"' + raw + b'", "more"]')
    yield binascii.hexlify(b'["' + raw + b'"]')
    yield b"a=" + "".join(f"%{byte:02X}" for byte in raw).encode() + b"&b=1"
    yield b"a=" + quote_from_bytes(b'"' + raw + b'"').encode()


def readings(loot: bytes) -> Iterator[bytes]:
    """Return the loot as it is, and with base64, hex and URL encoding taken off."""
    yield loot
    yield unquote_to_bytes(loot)
    for run in re.findall(rb"[0-9A-Za-z+/_-]{8,}", loot):
        standard = run.replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            part = standard[start:]
            yield base64.b64decode(part[: len(part) // 4 * 4])
    for run in re.findall(rb"[0-9A-Fa-f]{12,}", loot):
        for start in range(2):
            part = run[start:]
            yield binascii.unhexlify(part[: len(part) // 2 * 2])


def digits_in(loot: bytes) -> set[str]:
    """Return all numbers and six-digit codes that stand by themselves, however they are written."""
    alone = re.compile(rb"(?<![0-9A-Za-z.])(?:[0-9]{6}|[0-9]{11})(?![0-9A-Za-z])")
    return {found.decode() for reading in readings(loot) for found in alone.findall(reading)}


def digests_in(loot: bytes) -> set[str]:
    """Return every WINDOW of hexadecimal digits."""
    runs = set(re.findall(rb"[0-9a-f]{%d,}" % WINDOW, loot.lower()))
    return {run[at : at + WINDOW].decode() for run in runs for at in range(len(run) - WINDOW + 1)}


def digests_of(text: str) -> Iterator[str]:
    """Return what somebody without the key may compute of a guess."""
    for algorithm in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512, hashlib.blake2b):
        yield algorithm(text.encode()).hexdigest()[:WINDOW]
    yield hashlib.blake2b(text.encode(), digest_size=16).hexdigest()[:WINDOW]


@pytest.fixture
def sandbox(sandbox_simulator: RunningSimulator, tmp_path: Path) -> Iterator[Sandbox]:
    """Return a Redis that keeps its file, and may be told to write snapshots."""
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


def send_all(sandbox: Sandbox, seals: Seals, count: int) -> list[str]:
    """Send codes of every fate; return the keys of those that a worker must have ended."""
    producer = sandbox.producer()
    keys = []

    def send(key: str, mobile: str, code: str, *, sealed_for: str = "", **more: Any) -> None:
        sealed = seals.seal(mobile, code, key=sealed_for or key)
        given = {"key": key, "expires_at": time.time() + 120, "sealed": sealed, **more}
        producer.send_task(names.SEND_TASK, kwargs=given, queue=names.QUEUE)
        keys.append(key)

    for index in range(count):
        mobile, code, key = number_of(index), code_of(index), f"k{index:06}"
        kind = index % 12
        sandbox.gateway.script(mobile, [FATES[index % len(FATES)]] * 6 if index % 6 else ["2"])
        if kind == 1:  # a newer one supersedes it while it waits
            send(key, mobile, code, purpose="login")
            send(f"{key}-newer", mobile, code, purpose="login", expires_at=time.time() + 180)
        elif kind == 3:  # a wrong number, or code, within the seal
            send(key, *((mobile, code + "7") if index % 2 else ("2" + mobile[1:], code)))
        elif kind == 5:  # a conflict, and a duplicate
            send(key, mobile, code)
            send(key, mobile, code_of(index + 1))
            send(key, mobile, code)
        elif kind == 7:
            send(key, mobile, code, sealed_for="moved")
        elif kind == 9:
            send(key, mobile, code, expires_at=time.time() + 1)
        else:
            send(key, mobile, code)
        if kind == 11:
            producer.send_task(names.CANCEL_TASK, args=[key], queue=names.QUEUE)
    return keys


def what_operators_saw(sandbox: Sandbox, values: dict[str, Any], folder: Path) -> None:
    """Write what the commands print into a file: terminals have logs, too."""
    env = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url, **values)
    given = {name: value for name, value in env.items() if name.startswith("VOICECODE_")}
    printed = ""
    for command in SHOWING:
        result = CliRunner(env=given).invoke(voicecode, command.split())
        assert result.exit_code in {0, 1, 3}, result.output
        printed += result.output
    (folder / "printed.log").write_text(printed, "utf-8")


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.chaos)])
def test_a_thief_finds_no_number_and_no_code(sandbox: Sandbox, tmp_path: Path, count: int) -> None:
    spill_dir = tmp_path / "spill"
    spill_dir.mkdir()
    values: dict[str, Any] = {
        "seal_keys": SEAL_KEYS,
        "digest_key": DIGEST_KEY,
        "log_level": "DEBUG",
        "celery_log_level": "DEBUG",
        "stop_sending": False,
        "number_per_minute": 0,
        "number_per_day": 100,
        "fates": 100_000,
        "spill_dir": str(spill_dir),
    }
    workers = [sandbox.worker(options=("-E",), **values)]
    seals = seals_of(load(_env_file=None, seal_keys=SEAL_KEYS))
    assert seals is not None
    keys = send_all(sandbox, seals, count)
    ends = {"accepted", "dead", "cancelled"}
    wait_for(
        lambda: all(state in ends for state in sandbox.states(keys)), LIMIT_SECONDS + count / 5, "all ends"
    )
    settings = load(_env_file=None, broker_url=sandbox.url, **values)
    with connect(settings) as client:
        queue = FailureQueue(client, settings, operator="ops", clock_offset=1_000.0)
        reasons = queue.stats().by_reason.keys()
        assert {"permanent", "superseded", "bad_input", "key_conflict", "ambiguous"} <= set(reasons)
        assert queue.export(spill_dir / "export.jsonl", Filter(), unmasked=True)
        queue.export(spill_dir / "masked.jsonl", Filter())
        what_operators_saw(sandbox, values, tmp_path)
        assert spill(queue, spill_dir, 5)
    assert [worker.stop() for worker in workers] == [0]

    loot = loot_of(sandbox, tmp_path)
    everything = b"\n".join(loot.values())
    for part in (".rdb", ".aof", "worker", "printed", "export", "server"):
        assert any(part in name for name in loot), part
    numbers, codes, control = (
        {of(index) for index in some}
        for of, some in (
            (number_of, range(count)),
            (code_of, range(count)),
            (code_of, range(count + 1, 2 * count + 1)),  # never used
        )
    )
    found = digits_in(everything)

    assert found & numbers == set()
    assert len(found & codes) <= len(found & control) + count // 1_000
    pairs = {
        number_of(index) + between + code_of(index)
        for index in range(count)
        for between in ("", "\0", " ", ":", ",")
    }
    digests = digests_in(everything)
    assert [guess for guess in numbers | codes | pairs if digests & set(digests_of(guess))] == []


@pytest.mark.parametrize("text", [number_of(7), code_of(7)])
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    for spelling in spellings(text):
        assert text in digits_in(b"0a" * 50 + b" " + spelling + b" " + b"1b" * 50), spelling
    for digest in digests_of(text):
        assert digest in digests_in(f"dead:newest:{digest}0f".encode())
