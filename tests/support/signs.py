"""What a worker with faults says to the test that started it. Apart from it, since importing that one puts its faults in place."""

from typing import Final

EXIT_STATUS: Final = 77
FROZEN: Final = "worker frozen"
STALLED: Final = "redis stalled"
