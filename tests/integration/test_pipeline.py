"""Scripts of many threads in one round trip: each gets its own answer."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.embedded.server import Server, start_server
from worker.store.pipeline import BATCH, Pipeline

ECHO = "return {ARGV[1], KEYS[1]}"
FAIL_ON = "if ARGV[1] == 'bad' then return redis.error_reply('NO not this one') end return ARGV[1]"
THREADS = 20
SECONDS = 1.0


class Watched(Pipeline):
    """Notes how many scripts went in each round trip."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.sizes: list[int] = []
        self.trouble: BaseException | None = None
        """Raised, once, by the next one who sends."""

    def _execute(self, commands: Any) -> list[Any]:
        self.sizes.append(len(commands))
        trouble, self.trouble = self.trouble, None
        if trouble:
            raise trouble
        return super()._execute(commands)


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Freeze Redis: who comes in the meantime waits for the first one's answer."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_each_thread_hears_its_own_answer(redis_client: redis.Redis) -> None:
    echo = Pipeline(redis_client).register_script(ECHO)
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda number: echo(keys=[f"key{number}"], args=[number]), range(500)))
    assert answers == [[str(number), f"key{number}"] for number in range(500)]


def test_who_comes_while_another_sends_goes_with_the_next_batch(
    server: Server, redis_client: redis.Redis
) -> None:
    pipeline = Watched(redis_client)
    echo = pipeline.register_script(ECHO)
    echo(keys=["k"], args=["loaded"])
    pipeline.sizes.clear()
    with ThreadPoolExecutor(BATCH + 10) as pool:
        with frozen(server):
            answers = [pool.submit(echo, keys=["k"], args=[number]) for number in range(BATCH + 10)]
            wait_for(lambda: len(pipeline._waiting) == BATCH + 9, LIMIT_SECONDS, "all to wait")
        assert [int(answer.result(5)[0]) for answer in answers] == list(range(BATCH + 10))
    assert pipeline.sizes == [1, BATCH, 9]


def test_one_script_that_fails_does_not_fail_the_others(server: Server, redis_client: redis.Redis) -> None:
    pipeline = Watched(redis_client)
    script = pipeline.register_script(FAIL_ON)
    script(keys=[], args=["loaded"])
    with ThreadPoolExecutor(4) as pool:
        with frozen(server):
            answers = [pool.submit(script, keys=[], args=[word]) for word in ("first", "good", "bad", "fine")]
            wait_for(lambda: len(pipeline._waiting) == 3, LIMIT_SECONDS, "three to wait")
        assert [answers[number].result(5) for number in (0, 1, 3)] == ["first", "good", "fine"]
        with pytest.raises(redis.ResponseError, match="not this one"):
            answers[2].result(5)
    assert pipeline.sizes[-1] == 3


def test_arguments_that_cannot_be_sent_are_their_callers_own_problem(
    server: Server, redis_client: redis.Redis
) -> None:
    pipeline = Watched(redis_client)
    echo = pipeline.register_script(ECHO)
    echo(keys=["k"], args=["loaded"])
    with ThreadPoolExecutor(4) as pool:
        with frozen(server):
            answers = [pool.submit(echo, keys=["k"], args=["first"])]
            # Threads begin in any order, and one that leads with such arguments waits for nobody.
            wait_for(lambda: len(pipeline.sizes) == 2, LIMIT_SECONDS, "the first one to send")
            answers += [pool.submit(echo, keys=["k"], args=[value]) for value in ("good", object(), "fine")]
            wait_for(lambda: len(pipeline._waiting) == 3, LIMIT_SECONDS, "three to wait")
        assert [answers[number].result(5)[0] for number in (0, 1, 3)] == ["first", "good", "fine"]
        with pytest.raises((redis.DataError, TypeError)):  # redis-py 6.4 lets hiredis' own error out
            answers[2].result(5)


def test_an_answer_that_came_too_late_is_not_taken_for_the_next_ones() -> None:
    with (
        start_server() as server,
        redis.Redis(port=server.port, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0)) as client,
    ):
        echo = Pipeline(client).register_script(ECHO)
        echo(keys=["k"], args=["loaded"])
        with frozen(server), pytest.raises(redis.RedisError):
            echo(keys=["k"], args=["late"])
        assert echo(keys=["k"], args=["next"])[0] == b"next"


def test_an_answer_that_a_bug_left_unread_is_not_taken_for_the_next_ones(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError

    pipeline = Pipeline(redis_client)
    echo = pipeline.register_script(ECHO)
    echo(keys=["k"], args=["loaded"])
    with monkeypatch.context() as patch:
        patch.setattr(pipeline._connection, "read_response", broken)
        with pytest.raises(redis.ConnectionError):
            echo(keys=["k"], args=["unread"])
    assert echo(keys=["k"], args=["next"])[0] == "next"


def test_a_server_that_refuses_is_left(redis_client: redis.Redis) -> None:
    """The node may have been the master; another one may have its address by now."""
    pipeline = Pipeline(redis_client)
    script = pipeline.register_script(FAIL_ON)
    script(keys=[], args=["loaded"])
    before = pipeline._connection._sock
    with pytest.raises(redis.ResponseError):
        script(keys=[], args=["bad"])
    assert script(keys=[], args=["good"]) == "good"
    assert pipeline._connection._sock is not before


@pytest.mark.parametrize(
    "error", [AttributeError("sendall"), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
def test_whatever_ends_the_one_who_sends_the_others_hear_of_it(
    server: Server, redis_client: redis.Redis, error: BaseException
) -> None:
    pipeline = Watched(redis_client)
    echo = pipeline.register_script(ECHO)
    echo(keys=["k"], args=["loaded"])
    with ThreadPoolExecutor(3) as pool:
        with frozen(server):
            first = pool.submit(echo, keys=["k"], args=["first"])
            wait_for(lambda: len(pipeline.sizes) == 2, LIMIT_SECONDS, "the first one to send")
            others = [pool.submit(echo, keys=["k"], args=["other"]) for _ in range(2)]
            wait_for(lambda: len(pipeline._waiting) == 2, LIMIT_SECONDS, "two to wait")
            pipeline.trouble = error
        assert first.result(5)[0] == "first"
        raised = [other.exception(5) for other in others]
        assert [type(one) for one in raised].count(redis.ConnectionError) >= 1
        assert all(isinstance(one, redis.ConnectionError | type(error)) for one in raised)
    assert echo(keys=["k"], args=["again"])[0] == "again"


def test_one_who_is_interrupted_while_he_waits_is_not_waited_for(
    server: Server, redis_client: redis.Redis
) -> None:
    """A signal that ends the process raises in the event loop's thread, wherever that is."""
    pipeline = Watched(redis_client)
    echo = pipeline.register_script(ECHO)
    echo(keys=["k"], args=["loaded"])
    with ThreadPoolExecutor(2) as pool:
        with frozen(server):
            first = pool.submit(echo, keys=["k"], args=["first"])
            wait_for(lambda: len(pipeline.sizes) == 2, LIMIT_SECONDS, "the first one to send")
            before = signal.signal(signal.SIGALRM, _interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            try:
                with pytest.raises(KeyboardInterrupt):
                    echo(keys=["k"], args=["interrupted"])
            finally:
                signal.signal(signal.SIGALRM, before)
            last = pool.submit(echo, keys=["k"], args=["last"])
        assert [first.result(5)[0], last.result(5)[0]] == ["first", "last"]


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_server_that_forgot_the_scripts_is_told_them_again(redis_client: redis.Redis) -> None:
    echo = Pipeline(redis_client).register_script(ECHO)
    for _ in range(2):
        redis_client.script_flush()
        assert echo(keys=["k"], args=["again"]) == ["again", "k"]


def test_everybody_hears_of_a_server_that_is_gone_and_nobody_waits_in_turn() -> None:
    """Twenty threads in a row would wait for twenty time-outs."""
    with (
        start_server() as server,
        redis.Redis(port=server.port, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0)) as client,
    ):
        echo = Pipeline(client).register_script(ECHO)
        echo(keys=["k"], args=["loaded"])
        started = time.monotonic()
        with frozen(server), ThreadPoolExecutor(THREADS) as pool:
            answers = [pool.submit(echo, keys=["k"], args=[number]) for number in range(THREADS)]
            for answer in answers:
                with pytest.raises(redis.RedisError):
                    answer.result(10)
        assert time.monotonic() - started < 1.7 * SECONDS
        wait_for(
            lambda: echo(keys=["k"], args=["back"])[0] in {b"back", "back"},
            LIMIT_SECONDS,
            "an answer when it is back",
        )
