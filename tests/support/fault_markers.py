"""What workers with faults and the tests that start them say to each other.

Apart from those workers: importing one puts its faults in place.
"""

from typing import Final

EXIT_STATUS: Final = 77
FROZEN: Final = "worker frozen"
STALLED: Final = "redis stalled"
DIES_BEFORE_CLAIM: Final = "dies-before-claim"
DIES_IN_CALL: Final = "dies-in-call"
FULL_AT_CLAIM: Final = "full-at-claim"
FREEZES_BEFORE_POST: Final = "freezes-before-post"
