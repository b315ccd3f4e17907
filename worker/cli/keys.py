"""`voicecode keys ...`: the keys that seal numbers and codes."""

import collections
import datetime as dt
from typing import TYPE_CHECKING

import click

from worker.cli.common import FAILED, NOTHING, USAGE, end, json_option, settings
from worker.cli.terminal import say, say_json

if TYPE_CHECKING:
    from worker.sealing import Seals


@click.group()
def keys() -> None:
    """Make, list and rotate the keys that seal numbers and codes."""


@keys.command()
@click.argument("key_id", required=False, metavar="[ID]")
@json_option
def new(key_id: str | None, *, as_json: bool) -> None:
    """Make a key. ID: its name, such as 2026-11; by default today's date.

    The private line goes into VOICECODE_SEAL_KEYS, the public one to producers.
    """
    from worker.sealing import new_key  # noqa: PLC0415 - `--help` does without it

    name = key_id or dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    private, public = new_key()
    if as_json:
        say_json({"id": name, "private": f"{name}:{private}", "public": public})
    else:
        say(f"private  {name}:{private}")
        say(f"public   {name}:{public}")


def open_seals() -> "Seals":
    """Return the seals of the settings, or end the command."""
    from worker.sealing import seals_of  # noqa: PLC0415 - `--help` does without it

    found = seals_of(settings())
    if found is None:
        end(USAGE, "VOICECODE_SEAL_KEYS is not set: nothing is sealed")
        raise AssertionError
    return found


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the keys, the newest first, with their public keys and the records under each.

    The last line counts the records that hold a code in clear: `keys reseal` seals them.
    """
    from worker.sealing.reseal import IN_CLEAR, count_by_key  # noqa: PLC0415 - `--help` does without it
    from worker.store.client import connect  # noqa: PLC0415 - the same

    seals = open_seals()
    counts = count_by_key(connect(settings()))
    for name in (*seals.ids, *sorted(counts.keys() - {*seals.ids, IN_CLEAR}), IN_CLEAR):
        public = seals.public(name) if name in seals.ids else ""
        if name == IN_CLEAR and not counts[name]:
            break
        if as_json:
            say_json({"id": name, "public": public, "records": counts[name]})
        else:
            shown = public or ("" if name == IN_CLEAR else "its key is not here")
            say(f"{name:<32} {shown:<43} {counts[name]:>9,} records")


@keys.command()
@json_option
def reseal(*, as_json: bool) -> None:
    """Seal every record under the newest key. Afterwards an older one may go.

    Also those in clear, of the time before there was a key.
    It may run beside workers, and again.
    """
    from worker.sealing.reseal import reseal as seal_anew  # noqa: PLC0415 - `--help` does without it
    from worker.store.client import connect  # noqa: PLC0415 - the same

    counts = collections.Counter(seal_anew(connect(settings()), open_seals()))
    done = {name: counts[name] for name in ("resealed", "changed", "gone")}
    if as_json:
        say_json(done)
    else:
        say(f"Resealed {done['resealed']:,}. {done['changed']:,} had ended or changed meanwhile.")
        if done["gone"]:
            say(f"{done['gone']:,} are sealed under a key that is not here.")
    if done["gone"]:
        end(FAILED)
    if not counts:
        end(NOTHING)
