"""The processors, through real `logging` and rendering: one masked JSON object a line."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, Final, Self

import pytest
import structlog

from config import logs
from config.settings import Settings

MOBILE: Final = "13700137001"
CODE: Final = "48291"
APIKEY: Final = "hush/key+1"


class Chain:
    """The logs, configured as a worker does it, and what they wrote to stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._stream = io.StringIO()

    def configure(self, **values: Any) -> Self:
        """Call this in the test itself: pytest changes stderr and handlers after fixtures."""
        self._monkeypatch.setattr(sys, "stderr", self._stream)
        given = {"apikey": APIKEY, "broker_url": "redis://:hush-%40password@h/0", "log_format": "json"}
        logs.configure(
            Settings(_env_file=None, log_level="DEBUG", celery_log_level="DEBUG", **{**given, **values})
        )
        return self

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line must be a JSON object."""
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    root, level, hooks = (
        logging.getLogger(),
        logging.getLogger().level,
        (sys.excepthook, threading.excepthook),
    )
    handlers = list(root.handlers)
    yield Chain(monkeypatch)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_of_ours_is_one_json_object_with_its_facts(chain: Chain) -> None:
    chain.configure()
    structlog.get_logger("voicecode.x").info(
        "attempt.finished", key="k:1", attempt=2, mobile=MOBILE, elapsed_seconds=0.25
    )
    (line,) = chain.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "attempt.finished",
        "key": "k:1",
        "attempt": 2,
        "mobile": "137****7001",
        "elapsed_seconds": 0.25,
        "level": "info",
        "logger": "voicecode.x",
    }


def test_the_context_of_a_task_is_on_each_of_its_lines(chain: Chain) -> None:
    chain.configure()
    with structlog.contextvars.bound_contextvars(task_id="t-1"):
        structlog.get_logger("voicecode.x").info("one")
        logging.getLogger("celery.x").info("two")
    structlog.get_logger("voicecode.x").info("three")
    assert [line.get("task_id") for line in chain.lines] == ["t-1", "t-1", None]


def test_lines_of_libraries_go_through_the_same_chain_with_less_trust(chain: Chain) -> None:
    chain.configure()
    logging.getLogger("celery.x").warning("calling %s with %s by %r", f"+86 {MOBILE}", CODE, APIKEY)
    (line,) = chain.lines
    assert line["event"] == "calling +86 137****7001 with **** by '[redacted]'"
    assert (line["level"], line["logger"]) == ("warning", "celery.x")


@pytest.mark.parametrize(
    "argument", [[MOBILE, CODE], (MOBILE, CODE), {"code": CODE}, f"{MOBILE}{CODE}".encode(), {CODE}]
)
def test_whole_structures_in_a_librarys_line_are_left_out(chain: Chain, argument: Any) -> None:
    chain.configure()
    logging.getLogger("kombu.x").debug("message %r of %s", argument, "queue")
    assert chain.lines[0]["event"] in {"message '[redacted]' of queue", "message [redacted] of queue"}


def test_a_traceback_tells_the_place_and_hides_the_values(chain: Chain) -> None:
    chain.configure()

    def fail() -> None:
        local = MOBILE + CODE
        message = (
            f"no call to {MOBILE} with 验证码{CODE}: mobile=+86 137-0013-7001&content={CODE} key {APIKEY}."
        )
        raise ValueError(message, local[:0])

    for log in (structlog.get_logger("voicecode.x"), logging.getLogger("celery.x")):
        try:
            fail()
        except ValueError:
            log.exception("task.crashed")
    for line in chain.lines:
        assert "ValueError" in line["exception"]
        assert "in fail" in line["exception"]
    text = chain.text
    for secret in (MOBILE, "137-0013-7001", f"={CODE}", f"验证码{CODE}", APIKEY):
        assert secret not in text


@pytest.mark.parametrize("secret", [APIKEY, "hush%2Fkey%2B1", "hush-%40password", "hush-@password"])
def test_secrets_are_removed_as_they_are_and_as_a_form_or_an_address_spells_them(
    chain: Chain, secret: str
) -> None:
    chain.configure()
    structlog.get_logger("voicecode.x").error(
        "x", key=secret, detail=f"a {secret} b", more={"deep": [secret], secret: 1}
    )
    logging.getLogger("redis").error("wrong: %s", secret)
    assert secret not in chain.text
    assert chain.text.count("[redacted]") == 5


def test_a_collectors_token_is_removed_where_its_library_shows_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry logs a header that it cannot read, such as one with a space for the equals."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization Bearer wrong-token,x-key=right-token")
    chain.configure()
    logging.getLogger("opentelemetry").error("invalid: %s", "authorization Bearer wrong-token")
    logging.getLogger("opentelemetry").error("invalid: %s", "x-key=right-token")
    assert "-token" not in chain.text


def test_values_deep_inside_a_field_are_masked(chain: Chain) -> None:
    chain.configure()
    structlog.get_logger("voicecode.x").info(
        "x",
        more={"a": [MOBILE, (MOBILE,)], MOBILE: int(MOBILE), "f": float(MOBILE)},
        other=ValueError(MOBILE),
    )
    assert MOBILE not in chain.text


def test_keys_and_ids_stay_whole(chain: Chain) -> None:
    chain.configure()
    facts = {
        "key": "login:48291",
        "task_id": "9" * 32,
        "voice_id": "16842079209571524017",
        "trace_id": "0000000000000000000000138001380a",
        "worker": "celery@h-10234",
    }
    structlog.get_logger("voicecode.x").info("x", **facts)
    assert chain.lines[0].items() >= facts.items()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_a_stranger_wrote_does_not_act_on_the_terminal(chain: Chain, log_format: str) -> None:
    """Whoever follows the log sees escapes spelled out; a traceback keeps its lines."""
    chain.configure(log_format=log_format)
    hostile = "\x1b[2J\x9b31m\u202e4321\r"
    structlog.get_logger("voicecode.x").info(
        "x", reply_message=hostile, more={hostile: [hostile]}, worker=hostile
    )
    logging.getLogger("kombu").error("no %s", hostile)
    escapes = {"\x1b[2J", "\x9b", "\u202e", "\r"}
    assert [found for found in escapes if found in chain.text] == []
    assert "u202e4321" in chain.text


def test_a_number_in_a_key_or_an_id_is_masked(chain: Chain) -> None:
    chain.configure()
    structlog.get_logger("voicecode.x").info("x", key=f"{MOBILE}0042", task_id=f"a:{MOBILE}")
    assert chain.lines[0]["key"] == "137****70010042"
    assert chain.lines[0]["task_id"] == "a:137****7001"


def test_libraries_that_print_whole_messages_at_debug_are_silent_there(chain: Chain) -> None:
    chain.configure()
    for name in ("celery.pool", "celery.concurrency.thread", "celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).debug("TaskPool: Apply (args:%s)", CODE)
    assert chain.text == ""


def test_a_crash_of_the_process_or_of_a_thread_is_a_masked_line_too(chain: Chain) -> None:
    chain.configure()

    def fail() -> None:
        raise RuntimeError(MOBILE)

    thread = threading.Thread(target=fail, name="pool")
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    assert [line["event"] for line in chain.lines] == ["thread.crashed", "process.crashed"]
    assert MOBILE not in chain.text


def test_a_warning_is_a_masked_line_too(chain: Chain) -> None:
    chain.configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"number {MOBILE}", stacklevel=1)
    assert "137****7001" in chain.lines[0]["event"]


def test_a_line_that_cannot_be_written_shows_nothing_of_its_values(chain: Chain) -> None:
    """`logging` prints the raw record to stderr when its handler fails."""
    chain.configure()

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(MOBILE)

        __repr__ = __str__

    structlog.get_logger("voicecode.x").info("x", mobile=MOBILE, other=Broken())
    logging.getLogger("celery.x").info("%s %s", MOBILE, Broken())
    logging.getLogger("celery.x").info("%s %d", MOBILE, "no number")
    assert MOBILE not in chain.text
    assert chain.text.count("line.unwritten") == 3


def test_configuring_again_replaces_what_was_there(chain: Chain) -> None:
    chain.configure()
    chain.configure(apikey="another")
    structlog.get_logger("voicecode.x").info("x another")
    assert chain.text.count("\n") == 1
    assert "another" not in chain.text


def test_on_the_console_a_line_is_text_and_masked(chain: Chain) -> None:
    chain.configure(log_format="console")
    structlog.get_logger("voicecode.x").info("x", mobile=MOBILE)
    assert "137****7001" in chain.text
    assert not chain.text.startswith("{")
