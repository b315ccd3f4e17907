"""Tests that call nobody: no Redis, no worker, and the client's own code up to the last command.

With pytest, take the fixture `voicecode`. Elsewhere, `with nobody_is_called() as voicecode`.
"""

from voicecode_client.testing.desk import SentCode, VoiceCodes
from voicecode_client.testing.install import nobody_is_called

__all__ = ["SentCode", "VoiceCodes", "nobody_is_called"]
