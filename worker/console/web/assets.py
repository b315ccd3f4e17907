"""Assets: style, script and icon, served from the package under names that change with them."""

import hashlib
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

TYPES: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class Assets:
    """The files, read once."""

    def __init__(self) -> None:
        folder = resources.files("worker.console").joinpath("static")
        self._files = {name: folder.joinpath(name).read_bytes() for name in TYPES}
        self._stamps = {
            name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._files.items()
        }

    def address(self, name: str) -> str:
        """Return the address of a file."""
        return f"/static/{self._stamps[name]}/{name}"

    def serve(self, request: Request) -> Response:
        """Answer with a file. An older page's address gives the present file, not to be kept."""
        name, stamp = request.path_params["name"], request.path_params["stamp"]
        if name not in self._files:
            return PlainTextResponse("There is no such file.\n", 404)
        headers = _FOREVER if stamp == self._stamps[name] else None
        return Response(self._files[name], media_type=TYPES[name], headers=headers)
