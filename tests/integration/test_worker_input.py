"""What producers send to a real worker: called once, or a dead letter that says why."""

import time
from typing import Any

import pytest

from config import names
from tests.support.service import Service, new_key, new_number

GOOD = "13700137000"
FAR = 10**10


@pytest.mark.parametrize(
    ("args", "kwargs", "detail"),
    [
        (["12345678901", "0042"], {}, "mobile is not a mainland number"),
        (["+85261234567", "0042"], {}, "mobile is not a mainland number"),
        ([13700137000, "0042"], {}, "mobile must be a string, not int"),
        ([None, "0042"], {}, "mobile must be a string, not null"),
        ([[GOOD, GOOD], "0042"], {}, "mobile must be a string, not list"),
        ([GOOD, 1234], {}, "code must be a string, not a number: 1234 may have been 01234"),
        ([GOOD, "123"], {}, "code must be 4 to 6 digits"),
        ([GOOD, "12345678"], {}, "code must be 4 to 6 digits"),
        ([GOOD, "12a4"], {}, "code must be 4 to 6 digits"),
        ([GOOD, None], {}, "code must be a string, not null"),
        ([], {}, "wrong arguments: missing 2 required positional arguments: 'mobile' and 'code'"),
        ([GOOD], {}, "wrong arguments: missing 1 required positional argument: 'code'"),
        ([GOOD, "0042", "third"], {}, "wrong arguments: takes 2 positional arguments but 3 were given"),
        ([GOOD, "0042"], {"colour": 1}, "wrong arguments: an unexpected keyword argument"),
        ([GOOD, "0042"], {"task": 1}, "wrong arguments: an unexpected keyword argument"),
        ([GOOD, "0042"], {"self": 1}, "wrong arguments: an unexpected keyword argument"),
        ([GOOD, "0042"], {"args": 1, "kwargs": 2}, "wrong arguments: an unexpected keyword argument"),
        ([GOOD, "0042"], {"mobile": GOOD}, "wrong arguments: got multiple values for argument 'mobile'"),
        ([GOOD, "0042"], {"key": "a b"}, "key must be 1 to 128 of the characters"),
        ([GOOD, "0042"], {"key": f"login:{GOOD}"}, "key holds a mobile number"),
        ([GOOD, "0042"], {"key": 7}, "key must be a string, not int"),
        ([GOOD, "0042"], {"expires_at": 1_800_000_000_000}, "expires_at is in milliseconds"),
        ([GOOD, "0042"], {"expires_at": FAR}, "expires_at is more than VOICECODE_MAX_TTL_SECONDS"),
        (
            [GOOD, "0042"],
            {"expires_at": "tomorrow"},
            "expires_at must be a number of epoch seconds, not str",
        ),
        ([GOOD, "0042"], {"expires_at": float("nan")}, "expires_at must be a positive number"),
        ([GOOD, "0042"], {"expires_at": True}, "expires_at must be a number of epoch seconds, not bool"),
        ([GOOD, "0042"], {"purpose": "for you"}, "purpose must be 1 to 64 of the characters"),
    ],
)
def test_bad_input_is_a_dead_letter_with_a_plain_reason(
    service: Service, args: list[Any], kwargs: dict[str, Any], detail: str
) -> None:
    """Under the message's own id; with its bytes; once; and nobody is called."""
    task_id = service.send(*args, **kwargs)
    record = service.ended(task_id)
    assert (record.state, record.reason, record.scope) == ("dead", "bad_input", "message")
    assert record.detail.startswith(detail)
    assert record.raw.startswith("[")
    assert not record.attempts
    assert service.submissions(GOOD) == 0
    line = service.line("dead_letter.written", key=task_id)
    assert (line["reason"], line["level"]) == ("bad_input", "warning")
    assert line["detail"].startswith(detail)


def test_bad_input_with_a_good_key_is_found_under_it(service: Service) -> None:
    key = new_key()
    service.send("137 0013 7000", 1234, key=key)
    record = service.ended(key)
    assert (record.reason, record.mobile, record.sendable) == ("bad_input", GOOD, False)


def test_bad_input_does_not_hold_up_what_comes_after_it(service: Service) -> None:
    keys = [new_key() for _ in range(20)]
    for key in keys:
        service.send()
        service.send(new_number(), "0042", key=key)
    assert {service.ended(key).state for key in keys} == {"accepted"}


def test_the_default_key_is_the_task_id(service: Service) -> None:
    mobile = new_number()
    assert service.ended(service.send(mobile, "0042")).state == "accepted"
    assert service.calls(mobile) == 1


@pytest.mark.parametrize("task_id", ["f2a1c0de-0000-4000-8000-a13800138000", "13800138000", "任务 1"])
def test_any_task_id_will_do(service: Service, task_id: str) -> None:
    mobile = new_number()
    service.send(mobile, "0042", headers={"task_id": task_id})
    (line, *_) = (service.line("attempt.finished", mobile=f"137****{mobile[-4:]}", outcome="accepted"),)
    assert line["key"] == (task_id if task_id.startswith("f2a1") else line["key"])
    assert "13800138000" not in line["key"] or task_id.startswith("f2a1")


def test_a_duplicate_is_suppressed(service: Service) -> None:
    key, mobile = new_key(), new_number()
    service.send(mobile, "0042", key=key)
    service.ended(key)
    service.send(f"+86 {mobile}", "0042", key=key)
    service.line("attempt.skipped", key=key, answer="accepted")
    assert service.calls(mobile) == 1


def test_of_duplicates_sent_at_once_one_is_called(service: Service) -> None:
    key, mobile = new_key(), new_number()
    service.simulator.client.script(mobile, ["slow:0.3"])
    for _ in range(8):
        service.send(mobile, "0042", key=key)
    assert service.ended(key).state == "accepted"
    service.wait_idle()
    assert service.submissions(mobile) == 1


@pytest.mark.parametrize("change", ["code", "mobile"])
def test_one_key_for_two_codes_is_a_dead_letter_and_an_error_in_the_log(
    service: Service, change: str
) -> None:
    """A web app that always sends the same key must find out; the first code is not touched."""
    key, mobile = new_key(), new_number()
    service.send(mobile, "0042", key=key)
    first = service.ended(key)
    task_id = service.send(
        new_number() if change == "mobile" else mobile, "0043" if change == "code" else "0042", key=key
    )
    record = service.ended(task_id)
    assert (record.state, record.reason) == ("dead", "key_conflict")
    assert service.record(key) == first
    assert service.line("dead_letter.written", key=task_id)["level"] == "error"
    assert service.submissions(mobile) == 1


def test_a_code_that_came_too_late_is_never_called(service: Service) -> None:
    key, mobile = new_key(), new_number()
    service.send(mobile, "0042", key=key, expires_at=time.time() - 1)
    assert service.ended(key).reason == "expired"
    assert service.submissions(mobile) == 0
    assert service.line("dead_letter.written", key=key)["reason"] == "expired"


def test_celerys_own_expires_header_counts_and_drops_nothing(service: Service) -> None:
    """Celery drops such a message without running any code of ours: here it is a dead letter."""
    key, mobile = new_key(), new_number()
    service.send(mobile, "0042", key=key, headers={"expires": -5})
    assert service.ended(key).reason == "expired"
    assert service.submissions(mobile) == 0


def test_an_expires_at_among_the_arguments_comes_before_the_header(service: Service) -> None:
    key = new_key()
    service.send(new_number(), "0042", key=key, expires_at=time.time() + 60, headers={"expires": -5})
    assert service.ended(key).state == "accepted"


def test_a_code_that_expires_between_two_attempts_is_buried(service: Service) -> None:
    key, mobile = new_key(), new_number()
    service.simulator.client.script(mobile, ["http_503:30"])
    service.send(mobile, "0042", key=key, expires_at=time.time() + 3)
    assert service.ended(key).reason == "expired"
    assert service.submissions(mobile) == 1


def test_a_code_with_an_eta_is_called_then_and_not_before(service: Service) -> None:
    """And waits in Redis, not in a worker's memory."""
    key, mobile = new_key(), new_number()
    sent_at = time.time()
    service.send(mobile, "0042", key=key, headers={"countdown": 1.2})
    assert service.ended(key).state == "accepted"
    (submission,) = service.simulator.client.submissions(mobile)
    assert submission.at >= sent_at + 1.2
    assert service.redis.zscore(names.DUE, key) is None
