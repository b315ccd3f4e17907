"""Kinds: the actions, each with the right that it needs, its plan, and how it begins.

Every plan and every step is a call of what the command line calls.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from worker.console.access.roles import Right
from worker.console.acts import query
from worker.console.acts.intent import Intent, Options
from worker.console.web.forms import read_query
from worker.failure_queue import Choice, FailureQueue, Filter, Pace
from worker.failure_queue.outcomes import Outcome, Outcomes
from worker.sending.account import Account

Say = Callable[[int], None]
"""Told how many dead letters were looked at."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What an action would do. `keys`: to whom, where the action takes them."""

    count: int
    total: int
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keys: tuple[str, ...] = dataclasses.field(default=(), repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An action that may be carried out by iterating. `run`: its name, if it has one."""

    run: str
    steps: Iterable[Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of action."""

    name: str
    right: Callable[[Options, Filter], Right]
    plan: Callable[[FailureQueue, Intent, Say], Planned]
    begin: Callable[[FailureQueue, Intent, Planned, Path], Begun]
    typed: bool = False
    """It cannot be undone: the number that it acts on must be typed."""
    filtered: bool = True
    """It acts on what a filter selects."""


def wanted(intent: Intent) -> Filter:
    """Return an intent's filter. Times ago count from the moment of the plan."""
    return query.wanted_of(read_query(intent.query), now=intent.made_at)


def choice(options: Options) -> Choice:
    """Return what a replay may do."""
    return Choice(ambiguous=options.ambiguous, superseded=options.superseded, life_seconds=options.life)


def pace(options: Options) -> Pace:
    """Return how a replay proceeds."""
    return Pace(per_second=options.rate, canary=options.canary)


def _plan_replay(queue: FailureQueue, intent: Intent, say: Say) -> Planned:
    found = queue.plan(wanted(intent), choice(intent.options), looked_at=say)
    drain = queue.drain(found, pace(intent.options))
    facts = {"statuses": {status.value: n for status, n in found.counts.items()}, "drain": drain.as_dict()}
    facts["drain"]["row"], facts["drain"]["mends"] = drain.sending.row, drain.sending.mends
    return Planned(count=len(found.keys), total=found.total, facts=facts, keys=found.keys)


def _begin_replay(queue: FailureQueue, intent: Intent, planned: Planned, _: Path) -> Begun:
    options, asked = intent.options, str(wanted(intent))
    replay = queue.replay(planned.keys, choice(options), pace(options), asked=asked)
    return Begun(run=replay.progress.run, steps=replay)


def _plan_keys(queue: FailureQueue, intent: Intent, say: Say) -> Planned:
    keys: list[str] = []
    for key in queue.keys(wanted(intent)):
        keys.append(key)
        say(len(keys))
    return Planned(count=len(keys), total=len(keys), keys=tuple(keys))


def _begin_discard(queue: FailureQueue, intent: Intent, planned: Planned, _: Path) -> Begun:
    run = queue.new_run()
    return Begun(run=run, steps=queue.discard(planned.keys, run=run, asked=str(wanted(intent))))


def _begin_export(queue: FailureQueue, intent: Intent, _: Planned, folder: Path) -> Begun:
    run = queue.new_run()

    def steps() -> Iterable[int]:
        yield queue.export(folder / run, wanted(intent), name=run)

    return Begun(run=run, steps=steps())


def _plan_undo(queue: FailureQueue, intent: Intent, _: Say) -> Planned:
    count = queue.removal.count_discarded(intent.options.run)
    return Planned(count=count, total=count)


def _begin_undo(queue: FailureQueue, intent: Intent, _: Planned, __: Path) -> Begun:
    run = queue.new_run()
    return Begun(run=run, steps=queue.undo(run=intent.options.run, name=run))


def _plan_cancel(queue: FailureQueue, intent: Intent, _: Say) -> Planned:
    counts: collections.Counter[Outcome] = Outcomes(queue.client, intent.options.run).look()
    facts = {"outcomes": {outcome.value: count for outcome, count in counts.items()}}
    return Planned(count=counts[Outcome.WAITING], total=counts.total(), facts=facts)


def _begin_cancel(queue: FailureQueue, intent: Intent, _: Planned, __: Path) -> Begun:
    run = queue.new_run()
    return Begun(run=run, steps=queue.cancel(intent.options.run, name=run))


def _plan_order(queue: FailureQueue, _: Intent, __: Say) -> Planned:
    sending = Account(queue.client).sending()
    return Planned(count=1, total=1, facts={"sending": sending.state.value, "row": sending.row})


def _begin_order(queue: FailureQueue, intent: Intent, _: Planned, __: Path) -> Begun:
    account, note = Account(queue.client, operator=queue.operator), intent.options.note

    def steps() -> Iterable[bool]:
        yield account.hold(note) if intent.kind == "hold" else bool(account.resume(note))

    return Begun(run="", steps=steps())


def _replay_right(options: Options, _: Filter) -> Right:
    risky = options.ambiguous or options.superseded or options.life is not None
    return Right.RISK if risky else Right.REPLAY


def _discard_right(_: Options, chosen: Filter) -> Right:
    return Right.SWEEP if chosen.empty else Right.DISCARD


def _always(right: Right) -> Callable[[Options, Filter], Right]:
    return lambda _, __: right


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(name="replay", right=_replay_right, plan=_plan_replay, begin=_begin_replay, typed=True),
        Kind(name="discard", right=_discard_right, plan=_plan_keys, begin=_begin_discard),
        Kind(name="export", right=_always(Right.EXPORT), plan=_plan_keys, begin=_begin_export),
        Kind(name="undo", right=_always(Right.DISCARD), plan=_plan_undo, begin=_begin_undo, filtered=False),
        Kind(
            name="cancel", right=_always(Right.REPLAY), plan=_plan_cancel, begin=_begin_cancel, filtered=False
        ),
        Kind(name="hold", right=_always(Right.ORDER), plan=_plan_order, begin=_begin_order, filtered=False),
        Kind(name="resume", right=_always(Right.ORDER), plan=_plan_order, begin=_begin_order, filtered=False),
    )
}
