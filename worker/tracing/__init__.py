"""Tracing: a worker's part of a code's way, as spans of OpenTelemetry (extra `otel`).

1. `start`   the SDK, from its own environment variables, if `VOICECODE_TRACES` asks for it
2. `spans`   the spans of one message, in the conventions' words
3. `traced`  ledger, gateway and delivery that make them
4. `parts`   these, or the plain ones: a worker without traces imports none of the above

No attribute holds a number, a code or a key. A trace leads to its code by `trace_id` in the log.
"""
