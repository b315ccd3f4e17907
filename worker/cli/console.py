"""`voicecode console`, and its users."""

import sys
from typing import Any

import click

from worker.cli.common import DONE, FAILED, NOTHING, USAGE, end, json_option
from worker.cli.common import settings as read_settings
from worker.cli.terminal import say, say_json

_MISSING = {"starlette", "jinja2", "uvicorn"}


@click.group(invoke_without_command=True, short_help="Serve the console to browsers.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9878, show_default=True, help="0: any free one."
)
@click.pass_context
def console(context: click.Context, host: str, port: int) -> None:
    """Serve the console until SIGTERM: what these commands do, in a browser.

    On this host it is open to whoever has the address that the command prints. To serve other
    hosts it needs VOICECODE_CONSOLE_URL, and users: voicecode console user add NAME.
    It needs the extra `console`: pip install 'voicecode[console]'.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        from worker.console.serve import NotServedError, serve  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name not in _MISSING:
            raise
        end(USAGE, f"{error.name} is not installed: pip install 'voicecode[console]'")
        return
    from config import logs  # noqa: PLC0415 - `--help` does without it

    loaded = read_settings()
    logs.configure(loaded)
    try:
        serve(loaded, host, port, _invite)
    except NotServedError as error:
        end(USAGE, str(error))
    except OSError as error:
        end(FAILED, f"{host}:{port} cannot be listened on: {error.strerror}")
    except KeyboardInterrupt:
        end(DONE)
    end(DONE)


def _invite(address: str, nobody: bool) -> None:  # noqa: FBT001 - the caller's answer
    say(f"The console: {address}")
    if nobody:
        say("There is no user yet: voicecode console user add NAME --role admin", err=True)
    sys.stdout.flush()


@console.group()
def user() -> None:
    """Say who may log in to the console."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    default="viewer",
    show_default=True,
    help="viewer: sees. operator: acts. admin: also calls again what may have rung or has expired.",
)
@json_option
def add(name: str, role: str, *, as_json: bool) -> None:
    """Add NAME, or give NAME another password and role. Asks for the password.

    Without a terminal it reads the password from the first line of its input.
    """
    from worker.console.access.roles import Role  # noqa: PLC0415 - `--help` does without it

    users = _open_users()
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        new = users.put(name, password, Role(role))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _note("user", f"{'added' if new else 'changed'} {name}, {role}")
    say_json({"user": name, "role": role, "new": new}) if as_json else say(
        f"{'Added' if new else 'Changed'} {name}, {role}."
    )


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove NAME. Sessions of that user end at once."""
    if not _open_users().remove(name):
        end(NOTHING, f"There is no user {name}.")
    _note("user", f"removed {name}")
    say(f"Removed {name}.")


@user.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the users."""
    found = _open_users().all()
    for one in found:
        say_json({"user": one.name, "role": one.role.value}) if as_json else say(
            f"{one.role.value:<9} {one.name}"
        )
    if not found:
        end(NOTHING, "There is no user.")


def _open_users() -> Any:
    from worker.console.access.users import Users  # noqa: PLC0415 - `--help` does without it
    from worker.store.client import connect  # noqa: PLC0415 - the same

    return Users(connect(read_settings()))


def _note(action: str, detail: str) -> None:
    """Write it into the audit trail."""
    from worker.failure_queue import audit  # noqa: PLC0415 - `--help` does without it
    from worker.store.client import connect  # noqa: PLC0415 - the same

    loaded = read_settings()
    operator, cap = loaded.operator or audit.default_operator(), loaded.audit_entries
    audit.write_line(connect(loaded), action=action, operator=operator, run="", detail=detail, cap=cap)
