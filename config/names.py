"""Every name that crosses a process: queue, tasks, Redis keys, log events.

The hash tag `{voice_codes}` puts every key of ours into the cluster slot of the plain list `voice_codes`, so that one
script may touch both.
"""

from typing import Final

QUEUE: Final = "voice_codes"

SEND_TASK: Final = "send_voice_code"
"""What producers enqueue."""
RESUME_TASK: Final = "resume_voice_code"
"""What upkeep enqueues: a hint that somebody should look at a key now. It carries the key and nothing else."""

TAG: Final = "{voice_codes}"
RECORD_PREFIX: Final = TAG + ":code:"
"""+ key -> hash: the record of one code, in every state (a dead letter is a record whose state is `dead`)."""
DUE: Final = TAG + ":due"
"""zset key -> epoch seconds at which somebody must look at it. Every unfinished code that was claimed once is here."""
EXPIRY: Final = TAG + ":expiry"
"""zset key -> epoch seconds after which it must not be called any more; the same members as `due`."""
DEAD: Final = TAG + ":dead"
"""zset key -> epoch seconds of its death. The failure queue."""
DEAD_BY_PREFIX: Final = TAG + ":dead:"
"""+ `reason:<reason>`, `code:<row of the table>`, `scope:<scope>`, `ambiguous:<yes or no>`, `ends:<last four digits>` -> zset like
DEAD: the failure queue's indexes. + `expires` -> zset key -> expires_at. + `counts` -> hash: members of each index, and distinct
`numbers`. + `numbers:<last four digits>` -> hash: dead letters of each number. + `newest:<digest of number and purpose>` -> the key
of the code that was asked for last. + `discarded:<run>` -> set: what one run of discard took out."""
AUDIT: Final = TAG + ":audit"
"""stream: who replayed, discarded, restored, purged, spilled, imported or unmasked what."""
RETENTION_LOCK: Final = TAG + ":retention"
"""Lock: the worker that keeps the failure queue within its bounds."""
UNACKED: Final = TAG + ":unacked"
UNACKED_INDEX: Final = TAG + ":unacked_index"
"""Messages that were fetched and not acked, and when: laid out as kombu does, under names of our own, because another
Celery app may use the same database."""

HINTS: Final = TAG + ":hints"
"""list like QUEUE: what upkeep enqueues. Workers take from it what room new codes leave."""

FETCHED: Final = TAG + ":fetched"
"""hash delivery tag -> token of the fetch: what was fetched and not yet claimed."""
RETURNS: Final = TAG + ":returns"
"""hash delivery tag -> how often it came back unclaimed from a worker that died."""
WORKERS: Final = TAG + ":workers"
"""zset worker instance -> epoch seconds of its last sweep."""
PRIORITY_SEPARATORS: Final = ("\x06\x16", ":")
"""What stands between the queue's name and a priority in the name of another list, which a producer's `priority` fills:
kombu's own separator, and the one that producers set most often."""

RECORD_VERSION: Final = 1
"""`v` of records and hints. A worker reads its own and the previous version and leaves a newer one alone."""


class Event:
    """Names of log events: `noun.verb`."""

    ATTEMPT_FINISHED: Final = "attempt.finished"
    ATTEMPT_SKIPPED: Final = "attempt.skipped"
    DEAD_LETTER_WRITTEN: Final = "dead_letter.written"
    DEAD_LETTERS_PURGED: Final = "dead_letters.purged"
    DEAD_LETTERS_SPILLED: Final = "dead_letters.spilled"
    DEAD_LETTERS_OVER_BOUND: Final = "dead_letters.over_bound"
    SPILL_FAILED: Final = "spill.failed"
    DOUBLE_CALL: Final = "call.doubled"
    OUTCOME_FENCED: Final = "outcome.fenced"
    OUTCOME_UNWRITTEN: Final = "outcome.unwritten"
    OUTCOME_DELAYED: Final = "outcome.delayed"
    MESSAGE_LEFT: Final = "message.left"
    RECORD_MISSING: Final = "record.missing"
    RECORD_NEWER: Final = "record.newer"
    ATTEMPT_CRASHED: Final = "attempt.crashed"
    UPKEEP_FAILED: Final = "upkeep.failed"
    UPKEEP_RAN: Final = "upkeep.ran"
    UPKEEP_RECOVERED: Final = "upkeep.recovered"
    CORE_KEPT: Final = "core.kept"
    CORE_FREED: Final = "core.freed"
    CORE_FAILED: Final = "core.failed"
    HEARTBEAT_FAILED: Final = "heartbeat.failed"
    REDIS_FULL: Final = "redis.full"
    MESSAGES_RESTORED: Final = "messages.restored"
    TASK_CRASHED: Final = "task.crashed"
    WORKER_STARTED: Final = "worker.started"
    WORKER_STOPPED: Final = "worker.stopped"
    WORKER_SPAWNED: Final = "worker.spawned"
    WORKER_DIED: Final = "worker.died"
    SUPERVISOR_STOPPING: Final = "supervisor.stopping"
