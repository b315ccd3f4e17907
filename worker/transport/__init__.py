"""From the list to a thread and to the ack: fetch, credit, dispatch, unacked.

Celery finds `consumer` and `strategy` by their names.
"""

from worker.transport.channel import install
from worker.transport.credit import Credit
from worker.transport.running import Running
from worker.transport.threads import start_threads
from worker.transport.unacked import Acks, Unacked
from worker.transport.unreadable import Unreadable

__all__ = ["Acks", "Credit", "Running", "Unacked", "Unreadable", "install", "start_threads"]
