"""The operator's console in a browser: what the command line can do, for who would rather look.

It holds no action of its own: every page calls what the commands call.

1. `web`        one request: who asks, may he, is it forged; headers; the answer
2. `access`     users, roles, sessions, tries to log in
3. `pages`      what each page shows; `templates` and `static` say how
4. `acts`       plan first, confirm, carry out once
5. `telling`    words in two languages, times, curves, advice
"""
