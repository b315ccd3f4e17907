"""Sealing: number and code as only who holds a private key can read them (extra `sealed`).

1. `seals`   seal and open one pair; `context` for many
2. `wire`    a message that carries a sealed pair
3. `reseal`  after a rotation, records come under the newest key
"""

from worker.sealing.seals import Seals, Unsealable, new_key, seals_of
from worker.sealing.wire import SealKeyGone, opened

__all__ = ["SealKeyGone", "Seals", "Unsealable", "new_key", "opened", "seals_of"]
