"""`pip install pytest`, then `pytest`: the fixture `voicecode` calls nobody."""

import os
import time

import pytest
from app import app, codes

MOBILE = "13800138000"


def test_a_code_is_sent_and_taken_once(voicecode):
    browser = app.test_client()
    with voicecode.expects(mobile=MOBILE, purpose="login"):
        assert browser.post("/call", json={"mobile": MOBILE}).json["state"] == "queued"
    assert browser.get("/status").json["state"] == "accepted"
    assert browser.post("/check", json={"code": "no"}).json["state"] == "wrong"
    code = {"code": voicecode.last_code(MOBILE)}
    assert browser.post("/check", json=code).json["state"] == "signed in"
    assert browser.post("/check", json=code).json["state"] == "wrong"


def test_sms_is_offered_where_nobody_can_be_called(voicecode):
    browser = app.test_client()
    voicecode.will_time_out()
    browser.post("/call", json={"mobile": MOBILE})
    assert browser.get("/status").json == {"state": "dead", "offer": "sms", "ended": True}
    voicecode.sending_stopped()
    assert browser.post("/call", json={"mobile": MOBILE}).json["offer"] == "sms"
    voicecode.redis_down()
    assert browser.post("/call", json={"mobile": MOBILE}).json["offer"] == "sms"


def test_a_wrong_number_is_told(voicecode):
    told = app.test_client().post("/call", json={"mobile": "12345"}).json
    assert told["detail"].startswith("mobile is not a mainland number")
    assert told["offer"] == "voice"


@pytest.mark.skipif("REDIS_URL" not in os.environ, reason="needs a running voicecode: name its Redis")
@pytest.mark.parametrize(("mobile", "state"), [(MOBILE, "accepted"), ("19900004030", "dead")])
def test_with_a_worker_and_a_simulated_gateway(mobile, state):
    browser = app.test_client()
    assert browser.post("/call", json={"mobile": mobile}).json["state"] == "queued"
    until = time.monotonic() + 30
    while not (found := browser.get("/status").json)["ended"] and time.monotonic() < until:
        time.sleep(0.05)
    assert found == {"state": state, "offer": "sms" if state == "dead" else "voice", "ended": True}
    with browser.session_transaction() as session:
        code = {"code": codes[session["key"]]}
    assert browser.post("/check", json=code).json["state"] == "signed in"
