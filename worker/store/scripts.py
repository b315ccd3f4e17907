"""Scripts: a Lua file, called with its keys and, by name, with its arguments.

A script names its arguments once, in the locals that stand first in its file:

    local clock_offset = tonumber(ARGV[1])
    local key = ARGV[2]
    local tags = { unpack(ARGV, 3) } -- only the last one may take all that is left

Python reads the names and their order from these lines, so the two sides cannot disagree.
Lines that begin with `-- @fates ` are comments, and cost nothing, unless VOICECODE_FATES is set.
A script includes other files by lines such as `-- @include store/prelude`, relative to `worker/`.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any, Final, Protocol, Self

_INCLUDE: Final = re.compile(r"^-- @include ([a-z_/]+)\n", re.MULTILINE)
_ARGUMENT: Final = re.compile(r"^local (\w+) = (?:tonumber\()?ARGV\[(\d+)\]\)?(?: *--.*)?$", re.MULTILINE)
_REST: Final = re.compile(r"^local (\w+) = \{ unpack\(ARGV, (\d+)\) \}(?: *--.*)?$", re.MULTILINE)


def read_file(name: str) -> str:
    """Return the text of a Lua file, such as `ledger/claim`, without what it includes."""
    return resources.files("worker").joinpath(f"{name}.lua").read_text("utf-8")


def source(name: str, *, fates: int = 0) -> str:
    """Return the text of a script with the files that it includes before it, each once.

    `fates`: with more than 0, lines that begin with `-- @fates ` are code; they keep so many.
    """
    text = "".join(_parts(name, set()))
    return text.replace("-- @fates ", "").replace("FATES_KEPT", str(fates)) if fates else text


def _parts(name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    text = read_file(name)
    for included in _INCLUDE.findall(text):
        yield from _parts(included, seen)
    yield _INCLUDE.sub("", text)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The names of a script's arguments, in the order in which they are sent."""

    script: str
    names: tuple[str, ...]
    rest: str | None
    """Name of a last one that takes a sequence of any length."""

    @classmethod
    def of(cls, script: str) -> Self:
        """Read them from the script's own locals. Raises ValueError if these are not in order."""
        text = read_file(script)
        numbered, rest = _ARGUMENT.findall(text), _REST.findall(text)
        if [int(number) for _, number in numbered + rest] != list(range(1, len(numbered) + len(rest) + 1)):
            message = f"{script}.lua must name ARGV[1], ARGV[2] ... in order, one local a line"
            raise ValueError(message)
        return cls(
            script=script,
            names=tuple(name for name, _ in numbered),
            rest=rest[0][0] if rest else None,
        )

    def bind(self, **given: Any) -> list[Any]:
        """Return the values in the script's order. Raises TypeError if the names do not match."""
        rest: Sequence[Any] = given.pop(self.rest, ()) if self.rest else ()
        try:
            bound = [given[name] for name in self.names]
        except KeyError as error:
            message = f"{self.script}.lua needs {error.args[0]}"
            raise TypeError(message) from None
        if len(given) > len(bound):
            message = f"{self.script}.lua knows no {', '.join(sorted(given.keys() - set(self.names)))}"
            raise TypeError(message)
        bound += rest
        return bound


class RunsScripts(Protocol):
    """redis-py's client, or a `Pipeline`: both load a script that the server does not know."""

    def register_script(self, script: str, /) -> Callable[..., Any]:
        """Return a function of `keys` and `args`."""


def load(client: RunsScripts, name: str, *, fates: int = 0) -> Callable[..., Any]:
    """Return a script that takes `keys` and, in its own order, `args`."""
    return client.register_script(source(name, fates=fates))


class Script:
    """One script, ready to run: `script(keys, key="k", token="t")`. Raises redis-py's errors."""

    def __init__(self, client: RunsScripts, name: str, *, fates: int = 0) -> None:
        self._run = load(client, name, fates=fates)
        self._bind = Parameters.of(name).bind

    def __call__(self, keys: Sequence[str], **arguments: Any) -> Any:
        """Run it and return its answer."""
        return self._run(keys=keys, args=self._bind(**arguments))

    def queue(self, pipe: Any, keys: Sequence[str], **arguments: Any) -> None:
        """Add it to a pipeline of redis-py, which returns the answer when it is executed."""
        self._run(keys=keys, args=self._bind(**arguments), client=pipe)


def text(value: Any) -> str:
    """Return an element of an answer as text; an old client library may return bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
