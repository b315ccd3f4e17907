"""The life of a worker process: supervisor and child, heartbeat and health, the CPU it keeps to."""
