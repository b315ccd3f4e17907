"""Whether the fleet sends: fit workers, blocked configurations, and one record for all."""

from worker.sending.fleet import Fleet
from worker.sending.state import Sending, State

__all__ = ["Fleet", "Sending", "State"]
