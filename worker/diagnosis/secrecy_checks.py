"""Checks of what a copy of Redis would tell a stranger."""

from collections.abc import Iterator

from config.settings import Settings, SettingsError
from worker.diagnosis.finding import Finding, fail, ok, warn
from worker.sealing import Seals


def secrecy_checks(settings: Settings) -> Iterator[Finding]:
    """Check the settings that keep numbers and codes secret."""
    yield _digests(settings)
    yield _seals(settings)


def _seals(settings: Settings) -> Finding:
    if not settings.seal_key_pairs:
        return ok("seals", "none: Redis holds numbers and codes in clear until they are retired")
    try:
        seals = Seals(settings)
    except SettingsError as error:
        return fail("seals", str(error), "install the extra, or unset VOICECODE_SEAL_KEYS")
    return ok("seals", f"under the key {seals.newest}" + (", others open" if len(seals.ids) > 1 else ""))


def _digests(settings: Settings) -> Finding:
    keys = len(settings.digest_keys)
    if not keys:
        text = "their key stands in Redis: with a copy of it, every number and code can be tried out"
        return warn("digests", text, "set VOICECODE_DIGEST_KEY; see docs/operating.md#digest-key")
    if keys > 1:
        cure = "an hour after the last worker got both, leave the old one out"
        return warn("digests", "two keys: a rotation is under way", cure)
    return ok("digests", "under a key that is not in Redis")
