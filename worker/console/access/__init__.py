"""Who may do what: users, roles, sessions, and how often somebody may try to log in."""
