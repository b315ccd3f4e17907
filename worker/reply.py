"""Reply: the gateway's answer to one request, or what happened instead, as a value.

Its row stands in the table in `config/replies.py`; `worker/retry.py` decides what follows from it.
"""

import dataclasses

from config.replies import Replies, Row, Symptom


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Exactly one of `code` and `symptom` is set: a readable reply, or what happened instead."""

    code: int | None = None
    """The gateway's reply code (not an HTTP status)."""
    message: str = ""
    """The gateway's text, cut to 200 characters."""
    voice_id: str | None = None
    """The gateway's id of the call, up to 20 digits; None if it gave none, or `0`."""
    balance: int | None = None
    """Calls left; only in the reply to a balance query."""
    symptom: Symptom | None = None
    http_status: int | None = None
    retry_after_seconds: float | None = None
    """From the header `Retry-After`, in seconds from now."""
    elapsed_seconds: float = 0.0
    detail: str = ""
    """The cause in a few words, for the log; no value of the request is in it."""

    def row(self, replies: Replies) -> Row:
        """Return the row of the table of replies."""
        if self.symptom is not None:
            return replies.of_symptom(self.symptom)
        if self.code is None:
            message = "a reply has either a code or a symptom"
            raise ValueError(message)
        return replies.of_code(self.code, self.message)
