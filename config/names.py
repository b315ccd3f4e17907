"""Every name that crosses a process: queue, tasks, Redis keys, log events.

The hash tag `{voice_codes}` puts our keys into the cluster slot of the plain list `voice_codes`.
One script may then use both.
"""

from typing import Final

QUEUE: Final = "voice_codes"

SEND_TASK: Final = "send_voice_code"
"""What producers enqueue."""
CANCEL_TASK: Final = "cancel_voice_code"
"""What producers enqueue to withdraw a code."""
RESUME_TASK: Final = "resume_voice_code"
"""What upkeep enqueues: a hint that a worker should look at a key now. It carries only the key."""

TAG: Final = "{voice_codes}"
RECORD_PREFIX: Final = TAG + ":code:"
"""+ key -> hash: the record of one code in any state. A dead letter is a record in state `dead`."""
SENT_PREFIX: Final = TAG + ":sent:"
"""+ key -> who put it on the queue, for as long as the code lives. Written by `clients/python`."""
FATES: Final = TAG + ":fates"
"""stream: the end of each code, with VOICECODE_FATES. + `:count` -> how many there ever were."""
DUE: Final = TAG + ":due:2"
"""zset key -> epoch seconds at which a worker must look at it. An unfinished code is in it from its
first claim on. Records of version 0.1.0 are in the set without `:2`, so that its workers, who may
run beside ours or come back, look at their own records alone."""
EXPIRY: Final = TAG + ":expiry:2"
"""zset key -> epoch seconds after which it must not be called. The same members as `due`."""
DUE_0_1_0: Final = TAG + ":due"
EXPIRY_0_1_0: Final = TAG + ":expiry"
DEAD: Final = TAG + ":dead"
"""zset key -> epoch seconds of its death: the failure queue."""
DEAD_BY_PREFIX: Final = TAG + ":dead:"
"""The failure queue's indexes, each a zset like DEAD:
+ `reason:<reason>`, `code:<row of the table>`, `scope:<scope>`, `ambiguous:<yes or no>`,
`ends:<last four digits>`.
What else it needs:
+ `expires` -> zset key -> expires_at.
+ `holds` -> zset key -> the moment from which it may no longer hold code or number.
+ `counts` -> hash: members of each index, and distinct `numbers`.
+ `numbers:<3 digits of a number's digest>` -> hash: dead letters of each number, by its digest.
+ `newest:<digest of the number's digest and the purpose>` -> the key of the latest code.
+ `discarded:<run>` -> set: the keys that one run of discard took out."""
AUDIT: Final = TAG + ":audit"
"""stream: who replayed, discarded, restored, purged, spilled, imported or unmasked what."""
RUNS: Final = TAG + ":runs"
"""zset run -> epoch seconds of its begin: what operators did within a week."""
RUN_PREFIX: Final = TAG + ":run:"
"""+ run -> hash: what was asked and done. + `:replayed` -> set: the keys that it replayed."""
RETENTION_LOCK: Final = TAG + ":retention"
"""Lock of the worker whose turn it is to keep the failure queue within its bounds."""
UNACKED: Final = TAG + ":unacked"
UNACKED_INDEX: Final = TAG + ":unacked_index"
"""Messages that were fetched and not acked, and when. The layout is kombu's, the names are ours:
another Celery app may use the same database."""

HINTS: Final = TAG + ":hints"
"""list like QUEUE, filled by upkeep. Workers fetch from it when new codes leave room."""

FETCHED: Final = TAG + ":fetched"
"""hash delivery tag -> token of the fetch: messages that were fetched and not yet claimed."""
RETURNS: Final = TAG + ":returns"
"""hash delivery tag -> how often it came back unclaimed from a worker that died."""
WORKERS: Final = TAG + ":workers"
"""zset worker instance -> epoch seconds of its last sweep."""
SENDING: Final = TAG + ":sending"
"""hash: whether the fleet sends, and why not. A web app may read it. + `:fleet`, `:configs`,
`:trial`, `:told`, `:teller`, `:probe`, `:balance`: what the scripts in `worker/sending/` keep
beside it."""
BALANCE: Final = TAG + ":balance"
"""hash: `balance`, calls left when the gateway was last asked, and `asked_at`, epoch seconds."""
NUMBER_PREFIX: Final = TAG + ":number:"
"""+ keyed digest of a number -> zset: token -> epoch seconds of a claim to call it, `block:<row>`
-> until when that row keeps it from being called. + `:day` -> a day's calls that were accepted or
may have rung."""
INCIDENTS: Final = TAG + ":incidents"
"""hash: kind -> the incident that lasts, as JSON: `worker/incidents/note.lua`."""
METRICS: Final = TAG + ":metrics"
"""hash: what the scripts counted; `worker/ledger/counters.py` has the names of its fields."""
PURSE_PREFIX: Final = TAG + ":purse:"
"""+ `hour`, `day` -> calls of the whole fleet that were accepted or may have rung."""
DIGEST_KEY: Final = TAG + ":digest_key"
"""The key of the digests, if `VOICECODE_DIGEST_KEY` sets none: the first worker leaves one here."""
PRIORITY_SEPARATORS: Final = ("\x06\x16", ":")
"""What stands between the queue's name and a priority: each priority has a list of its own.
kombu's separator, and the one that producers set most often."""

CONSOLE_PREFIX: Final = "voicecode_console:"
"""The console's own: users, sessions, tries to log in, what it is about to do, samples of the hour.
Outside of `voice_codes*` and the tag: Redis users of producers, workers and readers see none."""

RECORD_VERSION: Final = 2
"""`v` of records and hints. A worker reads its own and the previous version, never a newer one.
2: digests are keyed. A worker of version 0.1.0 would take a duplicate for a conflict; it leaves
such a record to others. Records that 0.1.0 made keep 1 until they are accepted."""


class Event:
    """Names of log events: `noun.verb`."""

    ATTEMPT_FINISHED: Final = "attempt.finished"
    CODE_CANCELLED: Final = "code.cancelled"
    ATTEMPT_SKIPPED: Final = "attempt.skipped"
    DEAD_LETTER_WRITTEN: Final = "dead_letter.written"
    DEAD_LETTERS_RETIRED: Final = "dead_letters.retired"
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
    REDIS_RISKY: Final = "redis.risky"
    REDIS_UNFIT: Final = "redis.unfit"
    MESSAGES_RESTORED: Final = "messages.restored"
    TASK_CRASHED: Final = "task.crashed"
    WORKER_STARTED: Final = "worker.started"
    WORKER_REFUSED: Final = "worker.refused"
    WORKER_STOPPED: Final = "worker.stopped"
    WORKER_SPAWNED: Final = "worker.spawned"
    WORKER_DIED: Final = "worker.died"
    SUPERVISOR_STOPPING: Final = "supervisor.stopping"
    SENDING_STOPPED: Final = "sending.stopped"
    SENDING_WAITS: Final = "sending.waits"
    SENDING_TRIAL: Final = "sending.trial"
    SENDING_RESUMED: Final = "sending.resumed"
    SENDING_HELD: Final = "sending.held"
    CONFIGURATION_BLOCKED: Final = "configuration.blocked"
    WORKER_UNFIT: Final = "worker.unfit"
    WORKER_FIT: Final = "worker.fit"
    BALANCE_LOW: Final = "balance.low"
    METRICS_FAILED: Final = "metrics.failed"
    WEBHOOK_FAILED: Final = "webhook.failed"
    INCIDENT_BEGAN: Final = "incident.began"
    INCIDENT_LASTS: Final = "incident.lasts"
    INCIDENT_ENDED: Final = "incident.ended"
    CONSOLE_STARTED: Final = "console.started"
    CONSOLE_LOGIN: Final = "console.login"
    CONSOLE_REFUSED: Final = "console.refused"
    CONSOLE_ACTED: Final = "console.acted"
    CONSOLE_FAILED: Final = "console.failed"
