"""A working imitation of the gateway: a process of its own that speaks real HTTP.

It shows every row of the table, every fault of a network, and the provider's side of a bad night.
"""
