"""The ledger: the record of every code in Redis. One file a step, each with its script; `ledger.py` puts them together.

1. `claim`   a worker asks whether it may call now
2. `finish`  it records how the attempt ended
3. `upkeep`  every worker, each second: buries what expired, hints what is due
4. `refuse`  a message that cannot be called becomes a dead letter
`record` reads what stands there; the failure queue puts dead letters back.
"""

from worker.ledger.ledger import Ledger

__all__ = ["Ledger"]
