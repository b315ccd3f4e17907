"""The ledger: the record of every code in Redis. One file a step, each with its script; `ledger.py` puts them together.

1. `claim`   a worker asks whether it may call now
2. `finish`  it records how the attempt ended
3. `upkeep`  every worker, each second: buries what expired, hints what is due
4. `refuse`  a message that cannot be called becomes a dead letter
5. `replay`  an operator puts a dead letter back
`record` reads what stands there.
"""

from worker.ledger.ledger import Ledger
from worker.store.client import LedgerUnavailable

__all__ = ["Ledger", "LedgerUnavailable"]
