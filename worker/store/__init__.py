"""Redis: connections, key names, scripts, and one round trip for the requests of many threads."""
