"""Send verification codes to voicecode from a web app, ask what became of them, and cancel them."""

from voicecode_client.answers import Duplicate, Fate, Refused, Sent, Status, Unavailable
from voicecode_client.asynchronous import AsyncClient
from voicecode_client.client import Client

__all__ = ["AsyncClient", "Client", "Duplicate", "Fate", "Refused", "Sent", "Status", "Unavailable"]
