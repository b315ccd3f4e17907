"""`python -m worker.cli` is `voicecode`."""

from worker.cli import main

main()
