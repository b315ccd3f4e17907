"""Forms: what a browser sent, within bounds."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

LARGEST_BODY: Final = 65_536
MOST_FIELDS: Final = 100
_TYPE: Final = "application/x-www-form-urlencoded"


class Refused(Exception):  # noqa: N818 - an answer
    """A request cannot be answered as it is. `text`: its name in the table of texts."""

    def __init__(self, status: int, text: str, **values: object) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.values = values


Fields = dict[str, list[str]]


def read_query(text: str) -> Fields:
    """Return the fields of a query or a body. Raises Refused."""
    try:
        pairs = parse_qsl(text, max_num_fields=MOST_FIELDS, encoding="utf-8", errors="replace")
    except ValueError:
        raise Refused(400, "refused.fields") from None
    fields: Fields = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\x00", ""))
    return fields


async def read_form(request: Request) -> Fields:
    """Return the fields of a body, which is read no further than it may be long. Raises Refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Refused(415, "refused.form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Refused(413, "refused.large")
    return read_query(body.decode("ascii", "replace"))


def own_path(text: str) -> str:
    """Return a path of ours to go to, `/` in place of anything that leads elsewhere."""
    plain = text.isprintable() and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if plain and "\\" not in text else "/"
