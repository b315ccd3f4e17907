"""The digests are the standard HMAC, whatever makes them fast."""

import hashlib
import hmac

import pytest

from config.settings import Settings
from worker.store.digests import Digests


@pytest.mark.parametrize("length", [16, 63, 64, 65, 200])
def test_a_digest_is_hmac_sha_256(length: int) -> None:
    key = "k" * length
    digests = Digests(None, Settings(_env_file=None, digest_key=key))
    name, _, digest = digests.content("13800138000", "0042").partition(".")
    expected = hmac.new(key.encode(), b"content\x0013800138000\x000042", hashlib.sha256)
    assert digest == expected.hexdigest()[:24]
    assert len(name) == 4
