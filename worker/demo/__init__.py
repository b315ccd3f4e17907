"""`python -m worker.demo`: codes of every fate on their way from a producer to the gateway.

1. `services`     a Redis server, the simulator and one worker process; all end with the demo
2. `web_app`      a producer: stock Celery and nothing of ours
3. `samples`      what it sends, and how each should end
4. `tracker`      what the ledger says of them
5. `screen`       a live table on a terminal, else a line for each change
6. `walkthrough`  the order of events; `real_call` is the one for a real account
"""
