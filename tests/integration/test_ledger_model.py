"""The scripts against a small model in plain Python, in random order."""

import collections
from collections.abc import Iterator

import pytest
import redis

from tests.support.ledger_walk import RandomWalk
from worker.embedded.server import start_server

WALKS = 400
STEPS = 40
ANSWERS = {
    *(
        f"claim {word}"
        for word in ("call", "buried", "early", "busy", "accepted", "dead", "conflict", "missing")
    ),
    *(f"finish {word}" for word in ("accepted", "doubled", "waiting", "dead", "done", "appended", "fenced")),
    *(
        f"replay {word}"
        for word in ("replayed", "missing", "not_dead", "expired", "superseded", "ambiguous", "unsendable")
    ),
    "hinted 1",
    "refuse True",
    "refuse False",
    "discard {'discarded': 1}",
    "undo {'restored': 1}",
    "remove ['removed']",
}


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    with start_server() as server, server.client(decode_responses=True) as client:
        yield client


@pytest.fixture(scope="module")
def answers(client: redis.Redis) -> collections.Counter[str]:
    """Take all the walks, and return how often each step had which answer."""
    answers: collections.Counter[str] = collections.Counter()
    for seed in range(WALKS):
        walk = RandomWalk(client, seed)
        try:
            walk.go(STEPS)
        except AssertionError as error:
            error.add_note("\n".join([f"walk {seed}:", *walk.history]))
            raise
        answers.update(walk.answers)
    return answers


def test_the_scripts_and_the_model_agree_after_every_step(answers: collections.Counter[str]) -> None:
    """State, moments, failure queue, indexes and counts; no more calls than the rules allow."""
    assert answers.total() > WALKS * STEPS / 2


def test_the_walks_meet_every_answer_that_a_script_has(answers: collections.Counter[str]) -> None:
    """Else the agreement would say little."""
    assert {word for word in ANSWERS if answers[word] < 3} == set()
