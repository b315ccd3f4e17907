"""How the fleet looks on one screen."""

from typing import TYPE_CHECKING

from config.masking import spell_out_controls
from worker.cli.terminal import say
from worker.failure_queue.timestamps import iso

if TYPE_CHECKING:
    from worker.diagnosis.overview import Backlog, Overview, RedisState
    from worker.failure_queue import Stats
    from worker.sending.state import Sending

_SHOWN_WORKERS = 20
_MOST_FREQUENT = 6


def show_overview(overview: "Overview") -> None:
    """Print the fleet: one line a fact."""
    for line in overview_lines(overview):
        say(line)


def overview_lines(overview: "Overview") -> list[str]:
    """Return the fleet: one line a fact."""
    facts = {
        "sending": _sending(overview.sending),
        "queue": _queue(overview),
        "unacked": _backlog(overview.unacked),
        "calling": _backlog(overview.calling) if overview.calling else "may not be read",
        "due": _backlog(overview.due),
        "waiting": f"{overview.waiting:,} for a retry, including those that are due",
        "failure queue": _dead(overview.dead),
        "redis": _redis(overview.redis),
        "workers": f"{len(overview.workers):,} seen within a day",
    }
    lines = [f"{name:<14} {spell_out_controls(text)}" for name, text in facts.items()]
    lines += [
        f"{'':<14} {spell_out_controls(worker.name)}, {worker.seen_seconds_ago:,.1f} s ago"
        for worker in overview.workers[:_SHOWN_WORKERS]
    ]
    if len(overview.workers) > _SHOWN_WORKERS:
        lines.append(f"{'':<14} and {len(overview.workers) - _SHOWN_WORKERS:,} more; --json has them all")
    return lines


def _sending(state: "Sending") -> str:
    since = f"since {iso(state.since)}" if state.since else ""
    by = f"by {state.by}" if state.by else ""
    return " ".join(part for part in (state.state.value, state.row, since, by, state.note) if part)


def _queue(overview: "Overview") -> str:
    text = f"{overview.queue.count:,}"
    left = overview.oldest_expires_in
    if left is None:
        return text
    return f"{text}, the oldest " + (
        f"expires in {left:,.0f} s" if left > 0 else f"expired {-left:,.0f} s ago"
    )


def _backlog(backlog: "Backlog") -> str:
    oldest = backlog.oldest_seconds
    return f"{backlog.count:,}" + ("" if oldest is None else f", the oldest for {oldest:,.1f} s")


def _dead(stats: "Stats") -> str:
    if not stats.total:
        return "empty"
    most = list(stats.by_reason.items())[:_MOST_FREQUENT]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in most)
    return f"{stats.total:,} ({reasons}), {stats.unexpired:,} not expired"


def _redis(state: "RedisState") -> str:
    limit = f"of {state.max_memory / 1e6:,.0f} MB" if state.max_memory else "(no limit)"
    memory = f"{state.used_memory / 1e6:,.0f} MB {limit}"
    return f"{state.version} {state.role}, {memory}, {state.policy}, persistence {state.persistence}"
