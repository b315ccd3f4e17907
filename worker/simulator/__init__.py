"""A working imitation of the gateway: a process of its own that speaks real HTTP and shows every row of the table."""
