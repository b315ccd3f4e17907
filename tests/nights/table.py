"""Every night, in the order of the table; and how one is run."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.nights.accounts import ACCOUNTS
from tests.nights.fleet import Fleet
from tests.nights.night import Check, Night, Pace
from tests.nights.numbers import NUMBERS
from tests.nights.outages import OUTAGES

NIGHTS: Final[dict[str, Night]] = {night.name: night for night in (*OUTAGES, *ACCOUNTS, *NUMBERS)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one night came to."""

    night: Night
    checks: tuple[Check, ...]
    seconds: float

    @property
    def met(self) -> bool:
        """Whether every goal was met."""
        return all(check.met for check in self.checks)

    def __str__(self) -> str:
        figures = "; ".join(
            check.figure if check.met else f"{check.figure} (MISSED)" for check in self.checks
        )
        return (
            f"| {self.night.incident} | {self.night.goal} | {figures} | {'met' if self.met else 'MISSED'} |"
        )


HEAD: Final = "| night | goal | figure | |\n| --- | --- | --- | --- |"


def run(night: Night, pace: Pace, folder: Path | None = None) -> Row:
    """Run one night. `folder` keeps logs and the journal; without one they are removed."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="voicecode-night-") as temporary:
            return run(night, pace, Path(temporary))
    began = time.monotonic()
    with Fleet(folder, pace, gateway=night.gateway, strict=night.strict, **_settings(night, pace)) as fleet:
        try:
            checks = night.run(fleet)
        except AssertionError as error:
            checks = [Check(f"{error}"[:300], met=False)]
    return Row(night=night, checks=tuple(checks), seconds=time.monotonic() - began)


def _settings(night: Night, pace: Pace) -> dict[str, object]:
    """Scale what a night counts: in less time fewer calls are placed."""
    return {
        name: int(pace.seconds(value)) if name == "calls_per_hour" else value
        for name, value in night.settings.items()
    }
