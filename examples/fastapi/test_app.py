"""`pip install pytest httpx2`, then `pytest`: the fixture `voicecode` calls nobody."""

import os
import time
from collections.abc import Iterator

import pytest
from app import app, codes
from fastapi.testclient import TestClient

MOBILE = "13800138000"


@pytest.fixture
def browser() -> Iterator[TestClient]:
    with TestClient(app) as browser:  # with its lifespan
        yield browser


def test_a_code_is_sent_and_taken_once(voicecode, browser):
    with voicecode.expects(mobile=MOBILE, purpose="login"):
        assert browser.post("/call", json={"mobile": MOBILE}).json()["state"] == "queued"
    assert browser.get("/status").json()["state"] == "accepted"
    assert browser.post("/check", json={"code": "no"}).json()["state"] == "wrong"
    code = {"code": voicecode.last_code(MOBILE)}
    assert browser.post("/check", json=code).json()["state"] == "signed in"
    assert browser.post("/check", json=code).json()["state"] == "wrong"


def test_sms_is_offered_where_nobody_can_be_called(voicecode, browser):
    voicecode.will(4030)
    browser.post("/call", json={"mobile": MOBILE})
    assert browser.get("/status").json()["offer"] == "sms"
    assert browser.post("/sms").json()["state"] == "sms"
    voicecode.sending_stopped()
    assert browser.post("/call", json={"mobile": MOBILE}).json()["offer"] == "sms"
    voicecode.redis_down()
    assert browser.post("/call", json={"mobile": MOBILE}).json()["offer"] == "sms"


@pytest.mark.skipif("REDIS_URL" not in os.environ, reason="needs a running voicecode: name its Redis")
@pytest.mark.parametrize(("mobile", "state"), [(MOBILE, "accepted"), ("19900004030", "dead")])
def test_with_a_worker_and_a_simulated_gateway(browser, mobile, state):
    assert browser.post("/call", json={"mobile": mobile}).json()["state"] == "queued"
    until = time.monotonic() + 30
    while not (found := browser.get("/status").json())["ended"] and time.monotonic() < until:
        time.sleep(0.05)
    assert (found["state"], found["offer"]) == (state, "sms" if state == "dead" else "voice")
    code = {"code": codes[browser.cookies["key"].strip('"')]}
    assert browser.post("/check", json=code).json()["state"] == "signed in"
