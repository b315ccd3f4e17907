"""Diagnosis: what the whole fleet is doing, and what would fail at night. It changes nothing.

1. `overview`, `sending`   one look at queue, ledger, failure queue, workers and Redis
2. `checks` and the modules `*_checks`   what can be wrong, with its cure
"""

from worker.diagnosis.checks import run_checks
from worker.diagnosis.finding import Finding, Level
from worker.diagnosis.overview import Overview, read_overview

__all__ = ["Finding", "Level", "Overview", "read_overview", "run_checks"]
