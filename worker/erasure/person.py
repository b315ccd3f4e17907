"""Person: what belongs to a number, whatever key its digest has, sealed or not."""

from typing import Any, Final

from config.masking import holds_number, mask_mobile
from worker.message import BadInput, normalise_mobile
from worker.sealing import Seals, Unsealable
from worker.store.digests import Digests

FIELDS: Final = ("number", "mobile", "raw", "sealed")
"""What of a record tells whose it is."""


class Person:
    """Knows a number's records, in Redis and in files. May raise redis.RedisError once."""

    def __init__(self, mobile: str, digests: Digests, seals: Seals | None) -> None:
        self._mobile = mobile
        self._masked = mask_mobile(mobile)
        self._seals = seals
        self._is_current = digests.is_current
        self.digests: Final = frozenset(digests.number(mobile).split())
        self.unsure: Final[set[str]] = set()
        """Keys of records that have the same masked number, and whose keys are not here."""

    def owns(self, key: str, fields: dict[str, Any]) -> bool:
        """Tell whether a record is the person's. `fields`: those of FIELDS; others do no harm."""
        number, mobile, raw, sealed = (str(fields.get(name) or "") for name in FIELDS)
        named = number.split()
        if self.digests & set(named) or any(holds_number(text, self._mobile) for text in (mobile, raw, key)):
            return True
        # Under a key of the digests that is here, the digest would have told.
        if mobile != self._masked or any(map(self._is_current, named)):
            return False
        opened = self._opened(sealed, key)
        if opened is None and (named or sealed):
            self.unsure.add(key)
        return opened == self._mobile

    def _opened(self, sealed: str, key: str) -> str | None:
        """Return the number of a sealed pair; None if there is none, or its key is not here."""
        if not sealed or self._seals is None:
            return None
        try:
            return normalise_mobile(self._seals.open(sealed, key=key)[0])
        except (Unsealable, BadInput):
            return None
