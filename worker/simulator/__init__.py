"""A working imitation of the gateway: a process of its own that speaks real HTTP and plays every row of the table."""
