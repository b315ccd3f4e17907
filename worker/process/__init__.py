"""The life of a worker process: start, supervisor and child, heartbeat and health, its CPU core."""
