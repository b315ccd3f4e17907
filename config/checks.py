"""Checks: which settings must fit together, and the sentence for each that does not."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from config.settings import Settings

PREFIX: Final = "VOICECODE_"
_IDLE_BEAT_SECONDS: Final = 3
"""An idle worker's heartbeat: 1 s for the wait, 1 s between touches, 1 s for a busy machine."""


def problems(settings: "Settings") -> list[str]:
    """Return a sentence for each pair of settings that does not fit, with the variables' names."""
    return [sentence for wrong, sentence in _checks(settings) if wrong]


def _checks(s: "Settings") -> tuple[tuple[bool, str], ...]:
    """Return pairs of (is it wrong, the sentence that says so)."""
    return (
        (
            s.gateway_url.startswith("http://") and not s.dynamic_password,
            (
                f"{PREFIX}GATEWAY_URL is http://, where others could read the plain key:"
                f" set {PREFIX}DYNAMIC_PASSWORD=true or use https://"
            ),
        ),
        (
            s.connect_timeout_seconds >= s.attempt_deadline_seconds,
            f"{PREFIX}CONNECT_TIMEOUT_SECONDS must be below {PREFIX}ATTEMPT_DEADLINE_SECONDS",
        ),
        (
            s.read_timeout_seconds > s.attempt_deadline_seconds,
            f"{PREFIX}READ_TIMEOUT_SECONDS must not be above {PREFIX}ATTEMPT_DEADLINE_SECONDS",
        ),
        (
            s.lease_seconds <= s.attempt_deadline_seconds,
            (
                f"{PREFIX}LEASE_SECONDS must be above {PREFIX}ATTEMPT_DEADLINE_SECONDS:"
                " otherwise a worker counts as dead while it still calls"
            ),
        ),
        (
            s.visibility_timeout_seconds <= s.lease_seconds,
            (
                f"{PREFIX}VISIBILITY_TIMEOUT_SECONDS must be above {PREFIX}LEASE_SECONDS:"
                " otherwise messages return to the queue while their call runs"
            ),
        ),
        (
            s.heartbeat_max_age_seconds < s.attempt_deadline_seconds + _IDLE_BEAT_SECONDS,
            (
                f"{PREFIX}HEARTBEAT_MAX_AGE_SECONDS must be at least {_IDLE_BEAT_SECONDS} above"
                f" {PREFIX}ATTEMPT_DEADLINE_SECONDS: a healthy worker with every slot taken fetches"
                " nothing for that long"
            ),
        ),
        (
            s.code_ttl_seconds > s.max_ttl_seconds,
            f"{PREFIX}CODE_TTL_SECONDS must not be above {PREFIX}MAX_TTL_SECONDS",
        ),
        (
            s.accepted_ttl_seconds < s.dedup_horizon_seconds,
            (
                f"{PREFIX}ACCEPTED_TTL_SECONDS must be at least {PREFIX}CODE_TTL_SECONDS"
                f" + 10 x {PREFIX}VISIBILITY_TIMEOUT_SECONDS ({s.dedup_horizon_seconds:g}):"
                " otherwise a late duplicate would be called again"
            ),
        ),
        (
            s.standby and not s.stop_sending,
            (
                f"{PREFIX}STANDBY needs {PREFIX}STOP_SENDING=true:"
                " otherwise this worker cannot learn when to begin, and always calls"
            ),
        ),
        (
            bool(s.calls_per_hour or s.calls_per_day) and not s.stop_sending,
            (
                f"{PREFIX}CALLS_PER_HOUR and _PER_DAY need {PREFIX}STOP_SENDING=true:"
                " otherwise nobody would be told that sending has stopped"
            ),
        ),
    )
