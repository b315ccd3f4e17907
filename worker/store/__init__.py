"""Redis: connections, key names, scripts, and one round trip for requests of many threads."""
