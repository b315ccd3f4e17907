"""The ledger: the record of every code in Redis. A script and a module for each step.

1. `claim`   a worker asks whether it may call now
2. `finish`  it records how the attempt ended
3. `upkeep`  each second, every worker buries expired codes and sends hints for due ones
4. `refuse`  a message that cannot be called becomes a dead letter
`record` reads a code's record; the failure queue replays dead letters.
"""

from worker.ledger.ledger import Ledger

__all__ = ["Ledger"]
