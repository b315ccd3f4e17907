"""Wire: a message that carries `sealed` in place of `mobile` and `code`."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.message import BadInput
from worker.sealing.seals import Seals, Unsealable, has_form


class SealKeyGone(BadInput):
    """The message may be sound, but its key is not here."""


def opened(
    args: Sequence[Any], kwargs: Mapping[str, Any], seals: Seals | None
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments with number and code in place of `sealed`. Raises BadInput."""
    if "sealed" not in kwargs:
        return args, kwargs
    sealed, key = kwargs["sealed"], kwargs.get("key")
    if args or kwargs.keys() & {"mobile", "code"}:
        message = "sealed stands in place of mobile and code: send either"
        raise BadInput(message)
    if not isinstance(key, str):
        message = "sealed needs a key: it is sealed for it"
        raise BadInput(message)
    if not has_form(sealed):
        message = "sealed must be the id of a key, a dot, and base64url"
        raise BadInput(message)
    if seals is None:
        message = "it is sealed, and this worker has no VOICECODE_SEAL_KEYS"
        raise SealKeyGone(message)
    try:
        mobile, code = seals.open(sealed, key=key)
    except Unsealable as error:
        raise (SealKeyGone if error.key_is_gone else BadInput)(str(error)) from None
    rest = {name: value for name, value in kwargs.items() if name != "sealed"}
    return args, {**rest, "mobile": mobile, "code": code}
