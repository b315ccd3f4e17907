"""Dead letters in any number, made by the scripts' own index functions, as an import makes them."""

import itertools
import json
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue.imported import with_digests
from worker.failure_queue.scan import batched
from worker.store import keys, scripts
from worker.store.digests import Digests


def dead_letter(
    number: int, *, died_at: float, expires_at: float, **fields: Any
) -> tuple[str, dict[str, str]]:
    """Return key and record of a code that died with 4051; `fields` change it."""
    mobile, code = f"13{number % 10**9:09d}", f"{number % 10**4:04d}"
    attempt = {
        "token": f"{number:016x}",
        "started_at": round(died_at - 0.05, 3),
        "ended_at": round(died_at, 3),
        "elapsed_seconds": 0.0483,
        "row": "4051",
        "kind": "permanent",
        "reply_code": 4051,
        "reply_message": "剩余条数不足",
        "http_status": 200,
        "ambiguous": False,
        "worker": "celery@worker-1",
    }
    record = {
        "v": str(names.RECORD_VERSION),
        "state": "dead",
        "mobile": mobile,
        "code": code,
        "purpose": "login",
        "task_id": f"{number:032x}",
        "first_seen": f"{died_at - 0.1:.3f}",
        "expires_at": f"{expires_at:.3f}",
        "died_at": f"{died_at:.3f}",
        "attempt": "1",
        "life": "0",
        "token": f"{number:016x}",
        "attempt:1": json.dumps(attempt, ensure_ascii=False),
        "row": "4051",
        "scope": "account",
        "reply_code": "4051",
        "reply_message": "剩余条数不足",
        "reason": "permanent",
    }
    return f"login:{number:08d}", {**record, **{name: str(value) for name, value in fields.items()}}


def load(
    client: redis.Redis, letters: Iterator[tuple[str, dict[str, str]]] | list[tuple[str, dict[str, str]]]
) -> int:
    """Put dead letters into the failure queue and return how many."""
    restore, count = scripts.Script(client, "failure_queue/restore"), 0
    digests = Digests(client, Settings(_env_file=None))
    for batch in batched(letters, 200):
        pipe = client.pipeline(transaction=False)
        for key, record in batch:
            fields = itertools.chain.from_iterable(with_digests(record, digests).items())
            restore.queue(
                pipe,
                [keys.record(key), names.DEAD, names.AUDIT],
                clock_offset=0,
                version=names.RECORD_VERSION,
                key=key,
                run="load",
                operator="loader",
                audit_entries=1000,
                fields=list(fields),
            )
        count += sum(answer == "restored" for answer in pipe.execute())
    return count


PRELUDE: Final = scripts.source("ledger/dead_letters")

MIXED = """
local function fill(prefix, dead, first, count, now, span, total, lives, one_kind)
  local kinds = { { '405', 'permanent', 'account', 70, '用户名或密码不正确' },
    { '4030', 'permanent', 'number', 10, '手机号码已被列入黑名单' },
    { 'reset', 'ambiguous', 'none', 8 },
    { 'connect_refused', 'exhausted', 'host', 7 },
    { '4050', 'permanent', 'account', 4, '账号被冻结' },
    { '4085', 'permanent', 'number', 1, '同一手机号当日提交次数超限' } }
  for i = first, first + count - 1 do
    local dice, kind = one_kind and 0 or (i * 7919) % 100, nil
    for _, candidate in ipairs(kinds) do
      kind = candidate
      dice = dice - candidate[4]
      if dice < 0 then break end
    end
    local died_at = now - span * (total - i) / total
    local mobile = string.format('13%09d', (i * 48271) % 500000000) -- see `_mobile`
    local key = string.format('login:%08d', i)
    local entry = cjson.encode({ token = string.format('%016x', i), started_at = stamp(died_at - 0.05),
      ended_at = stamp(died_at), elapsed_seconds = 0.0483, row = kind[1], kind = 'permanent',
      reply_code = tonumber(kind[1]), reply_message = kind[5], http_status = kind[5] and 200,
      ambiguous = kind[2] == 'ambiguous',
      worker = 'celery@worker-1' })
    redis.call('HSET', prefix .. key, 'v', 2, 'state', 'dead', 'mobile', mobile,
      'number', ARGV[9 + i - first],
      'code', '004200', 'digest', string.format('%032x', i), 'purpose', 'login',
      'task_id', string.format('%036d', i), 'first_seen', stamp(died_at - 0.1), 'died_at', stamp(died_at),
      'expires_at', stamp(i >= total - lives and now + 3000 or math.min(died_at + 200, now - 1)),
      'attempt', 1, 'life', 0, 'token', string.format('%016x', i), 'attempt:1', entry,
      'row', kind[1], 'scope', kind[3], 'reply_code', kind[5] and kind[1] or '',
      'reply_message', kind[5] or '', 'reason', kind[2],
      'ambiguous_total', kind[2] == 'ambiguous' and 1 or 0)
    index(prefix .. key, key, dead, tonumber(stamp(died_at)))
  end
end
fill(ARGV[1], KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]),
  tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1')
return redis.status_reply('OK')
"""
"""Dead letters of every kind, numbered from `first`, that died evenly over `span` seconds.

The youngest `lives` can still be sent.
"""


def _mobile(number: int) -> str:
    """Return the number of the n-th letter: a newer code for it must find the same digest."""
    return f"13{number * 48271 % 500_000_000:09d}"


def load_mixed(  # noqa: PLR0913 - one argument per property of the night
    client: redis.Redis,
    count: int,
    *,
    now: float,
    span_seconds: float,
    sendable: int,
    only_405: bool = False,
) -> None:
    """Fill the failure queue within the server, through the scripts' own index functions."""
    fill = client.register_script(PRELUDE + MIXED)
    digests = Digests(client, Settings(_env_file=None))
    for first in range(0, count, 2000):
        pipe = client.pipeline(transaction=False)
        for start in range(first, min(first + 2000, count), 50):
            some = range(start, min(start + 50, count))
            args: list[Any] = [
                names.RECORD_PREFIX,
                start,
                len(some),
                now,
                span_seconds,
                count,
                sendable,
                int(only_405),
                *(digests.number(_mobile(number)) for number in some),
            ]
            fill(keys=[names.DEAD], args=args, client=pipe)
        pipe.execute()
