"""Durations as options take them: `90`, `90s` or `2h30m`."""

from typing import Any

import click


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Gives seconds, above 0. A plain number is of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds, or fail with a sentence that says how to write them."""
        from worker.failure_queue.timestamps import seconds  # noqa: PLC0415 - `--help` does without it

        text = str(value)
        try:
            found = seconds(text if text[-1:].isalpha() else f"{text}s")
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not found:
            self.fail(f"{text!r} is not above 0", param, ctx)
        return found
