"""Families: a snapshot as Prometheus metrics. The tables name each one, with its unit and help."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.replies import Row
from worker.diagnosis.overview import Backlog, Overview
from worker.ledger.counters import Counters, Histogram
from worker.metrics.snapshot import Snapshot
from worker.retry import Reason
from worker.sending.account import WorkerSeen
from worker.sending.state import State

LIVE_SECONDS: Final = 6
"""A worker reports each second; `state.lua` counts it as live for this long."""
_REASONS: Final = (*(reason.value for reason in Reason), "erased")

COUNTERS: Final[Mapping[str, tuple[str, Callable[[Counters], int]]]] = {
    "codes_first_seen": ("Codes that a worker claimed for the first time.", lambda c: c.first_seen),
    "codes_accepted": ("Codes that the gateway took, each once.", lambda c: c.accepted),
    "codes_accepted_after_death": ("Those that were dead letters meanwhile.", lambda c: c.revived),
    "codes_replayed": ("Dead letters that were put back.", lambda c: c.replayed),
    "calls_started": ("Claims to call: tries that began.", lambda c: c.calls_started),
    "calls_doubled": ("Second acceptances: a phone rang twice.", lambda c: c.doubled),
}
HISTOGRAMS: Final[Mapping[str, tuple[str, Callable[[Counters], Histogram]]]] = {
    "first_call_wait_seconds": ("From a code's first claim to its first call.", lambda c: c.first_call),
    "acceptance_seconds": ("From a code's first claim to its acceptance.", lambda c: c.acceptance),
    "submission_duration_seconds": ("A request to the gateway.", lambda c: c.submission),
    "attempt_duration_seconds": ("A whole attempt in its worker, claim included.", lambda c: c.attempt),
}
GAUGES: Final[Mapping[str, tuple[str, Callable[[Overview], float | None]]]] = {
    "queue_messages": ("Messages that no worker has fetched.", lambda o: o.queue.count),
    "queue_oldest_expires_in_seconds": (
        "Until the oldest message on the queue expires; below 0: it is too late for it.",
        lambda o: o.oldest_expires_in,
    ),
    "unacked_messages": ("Messages in workers' hands.", lambda o: o.unacked.count),
    "unacked_oldest_age_seconds": ("Age of the oldest of them.", lambda o: _oldest(o.unacked)),
    "waiting_codes": ("Codes that wait for another try, and those that are due.", lambda o: o.waiting),
    "due_codes": ("Codes whose time has come.", lambda o: o.due.count),
    "due_oldest_age_seconds": ("For how long the first of them has been due.", lambda o: _oldest(o.due)),
    "calling_codes": ("Codes in a call.", lambda o: _count(o.calling)),
    "calling_oldest_age_seconds": ("Age of the oldest call.", lambda o: _oldest(o.calling)),
    "dead_letters_unexpired": ("Dead letters whose life is not over.", lambda o: o.dead.unexpired),
    "dead_letters_oldest_timestamp_seconds": ("When the oldest of them died.", lambda o: o.dead.oldest),
    "dead_letters_numbers": ("Distinct numbers in the failure queue.", lambda o: o.dead.distinct_numbers),
    "sending_since_timestamp_seconds": ("Since when the state holds.", lambda o: o.sending.since),
    "sending_parked_codes": ("Codes parked by the latest stop.", lambda o: o.sending.parked),
    "sending_refused_codes": ("Dead letters of the latest stop.", lambda o: o.sending.refused),
    "sending_failed_trials": ("Trials that failed since the stop.", lambda o: o.sending.failures),
    "balance_calls": ("Calls left on the account when last asked.", lambda o: o.balance),
    "balance_asked_timestamp_seconds": ("When it was asked.", lambda o: o.balance_asked_at),
    "redis_memory_used_bytes": ("Memory that Redis uses.", lambda o: o.redis.used_memory),
    "redis_memory_limit_bytes": ("Its maxmemory; 0: no limit.", lambda o: o.redis.max_memory),
}
WORKER_GAUGES: Final[Mapping[str, tuple[str, Callable[[WorkerSeen, float], float]]]] = {
    "worker_up": ("Whether it reported lately.", lambda w, now: now - w.seen_at < LIVE_SECONDS),
    "worker_slots": ("Calls that it can have in flight.", lambda w, _: w.slots),
    "worker_calls_in_flight": ("Messages that it works on.", lambda w, _: w.in_flight),
    "worker_fit": ("Whether it can send.", lambda w, _: not (w.unfit or w.blocked)),
}


def families(snapshot: Snapshot, rows: tuple[Row, ...]) -> Iterator[Metric]:
    """Return everything of a snapshot. `rows`: of the table of replies, each a label."""
    counters, overview = snapshot.counters, snapshot.overview
    for name, (text, count) in COUNTERS.items():
        yield CounterMetricFamily(_named(name), text, value=count(counters))
    yield _labelled("codes_dead", "Codes that became dead letters.", "reason", _dead(counters))
    submissions = CounterMetricFamily(_named("tries"), "Ends of tries, by reply.", labels=["row", "kind"])
    for row in rows:
        submissions.add_metric([row.name, row.kind.value], counters.rows.get(row.name, 0))
    yield submissions
    for name, (text, histogram) in HISTOGRAMS.items():
        yield _histogram(name, text, histogram(counters))
    for name, (text, value) in GAUGES.items():
        known = value(overview)
        if known is not None:
            yield GaugeMetricFamily(_named(name), text, value=known)
    dead = GaugeMetricFamily(_named("dead_letters"), "The failure queue.", labels=["reason"])
    for reason, count_now in overview.dead.by_reason.items():
        dead.add_metric([reason], count_now)
    yield dead
    yield from _sending(overview)
    yield from _workers(overview, snapshot.now)


def up(answered: bool) -> Metric:  # noqa: FBT001 - it is the value
    """Return whether Redis answered."""
    return GaugeMetricFamily(_named("redis_up"), "Whether Redis answered this scrape.", value=answered)


def _named(name: str) -> str:
    return f"voicecode_{name}"


def _count(backlog: Backlog | None) -> float | None:
    return None if backlog is None else backlog.count


def _oldest(backlog: Backlog | None) -> float | None:
    return None if backlog is None else backlog.oldest_seconds


def _dead(counters: Counters) -> dict[str, int]:
    return {reason: counters.dead.get(reason, 0) for reason in _REASONS}


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(_named(name), text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    """Return one without a sum: the scripts keep none, and none is made up."""
    family = Metric(_named(name), text, "histogram")
    for bound, count in histogram.items():
        family.add_sample(_named(f"{name}_bucket"), {"le": bound}, count)
    family.add_sample(_named(f"{name}_count"), {}, histogram["+Inf"])
    return family


def _sending(overview: Overview) -> Iterator[Metric]:
    state = GaugeMetricFamily(_named("sending"), "1 for the fleet's state.", labels=["state"])
    for known in State:
        state.add_metric([known.value], overview.sending.state is known)
    yield state
    stopped_by = GaugeMetricFamily(_named("sending_stopped_by"), "The reply that stopped it.", labels=["row"])
    if overview.sending.state in {State.STOPPED, State.TRIAL} and overview.sending.row:
        stopped_by.add_metric([overview.sending.row], 1)
    yield stopped_by


def _workers(overview: Overview, now: float) -> Iterator[Metric]:
    # A worker that was started again under its name reported twice within the minute.
    latest: dict[str, Any] = {w.worker: w for w in sorted(overview.reports, key=lambda w: w.seen_at)}
    for name, (text, value) in WORKER_GAUGES.items():
        family = GaugeMetricFamily(_named(name), text, labels=["worker"])
        for worker in latest.values():
            family.add_metric([worker.worker], value(worker, now))
        yield family
    labels = ["worker", "version", "host", "unfit"]
    about = GaugeMetricFamily(_named("worker_info"), "What a worker says of itself.", labels=labels)
    for worker in latest.values():
        about.add_metric([worker.worker, worker.version, worker.host, worker.unfit or worker.blocked], 1)
    yield about
