"""Settings: read from three places, checked all at once, secrets kept."""

import os
from pathlib import Path
from typing import Any

import pytest

from config import settings
from config.settings import Settings, SettingsError

PREFIX = "VOICECODE_"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the caller's environment, and no `.env` but the test's own."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    return settings.load()


def problems(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **values)
    return str(caught.value).splitlines()


def test_nothing_set_is_a_good_start() -> None:
    assert settings.load().gateway_url.startswith("https://")


@pytest.mark.parametrize("name", ["account", "apikey"])
def test_a_worker_without_an_account_is_told_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = {"account": "apikey", "apikey": "account"}[name]
    with pytest.raises(SettingsError, match=f"^VOICECODE_{name.upper()} is not set: [^\n]*$"):
        load(monkeypatch, **{other: "x"}).require_gateway()


def test_an_empty_secret_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch, apikey="") == ["VOICECODE_APIKEY: must not be empty"]


def test_every_wrong_value_is_listed_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = problems(
        monkeypatch,
        log_level="LOUD",
        concurrency="0",
        lease_seconds="nan",
        gateway_url="ftp://x",
        ca_bundle="/none",
        apikey="",
    )
    named = {line.partition(":")[0] for line in lines}
    wanted = ("LOG_LEVEL", "CONCURRENCY", "LEASE_SECONDS", "GATEWAY_URL", "CA_BUNDLE", "APIKEY")
    assert named == {f"VOICECODE_{name}" for name in wanted}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"gateway_url": "http://g/v"}, "VOICECODE_GATEWAY_URL is http://"),
        ({"connect_timeout_seconds": "10"}, "VOICECODE_CONNECT_TIMEOUT_SECONDS must be below"),
        ({"read_timeout_seconds": "10.1"}, "VOICECODE_READ_TIMEOUT_SECONDS must not be above"),
        ({"lease_seconds": "10"}, "VOICECODE_LEASE_SECONDS must be above VOICECODE_ATTEMPT_DEADLINE_SECONDS"),
        (
            {"visibility_timeout_seconds": "15"},
            "VOICECODE_VISIBILITY_TIMEOUT_SECONDS must be above VOICECODE_LEASE_SECONDS",
        ),
        (
            {"code_ttl_seconds": "3601"},
            "VOICECODE_CODE_TTL_SECONDS must not be above VOICECODE_MAX_TTL_SECONDS",
        ),
        ({"standby": "true", "stop_sending": "false"}, "VOICECODE_STANDBY needs VOICECODE_STOP_SENDING"),
        ({"calls_per_day": "9", "stop_sending": "false"}, "VOICECODE_CALLS_PER_HOUR and _PER_DAY need"),
        ({"accepted_ttl_seconds": "469"}, "VOICECODE_ACCEPTED_TTL_SECONDS must be at least"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], text: str
) -> None:
    (line,) = problems(monkeypatch, **values)
    assert line.startswith(text)


def test_all_contradictions_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        len(
            problems(monkeypatch, lease_seconds="9", visibility_timeout_seconds="8", gateway_url="http://g/v")
        )
        == 3
    )


def test_http_is_allowed_with_the_dynamic_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, gateway_url="http://g/v", dynamic_password="true").dynamic_password


@pytest.mark.parametrize(
    "name", ["lease_seconds", "reconnect_grace_seconds", "retry_gap_seconds", "accepted_ttl_seconds"]
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "soon"])
def test_a_duration_is_a_number_that_can_be_waited_for(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert problems(monkeypatch, **{name: value})[0].startswith(f"VOICECODE_{name.upper()}: ")


@pytest.mark.parametrize("url", ["amqp://h/", "http://h/", "h:6379", "/run/redis.sock", ""])
def test_a_broker_that_is_no_redis_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert problems(monkeypatch, broker_url=url)[0].startswith(
        "VOICECODE_BROKER_URL: must be a Redis address"
    )


def test_several_addresses_without_sentinels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue would move on to the second one while the ledger stays in the first."""
    (problem,) = problems(monkeypatch, broker_url="redis://:hush@a/0;redis://:hush@b/0")
    assert problem.startswith("VOICECODE_BROKER_URL: must be one address")


@pytest.mark.parametrize("scheme", ["redis", "redis+socket"])
def test_parameters_of_tls_without_tls_are_refused(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Celery would speak TLS by them, and the ledger would not."""
    (problem,) = problems(monkeypatch, broker_url=f"{scheme}://h/0?ssl_cert_reqs=required")
    assert problem.endswith("write rediss://")


@pytest.mark.parametrize(
    "url", ["rediss://:p@h:6379/1", "redis+socket:///run/r.sock", "sentinel://a:26379;sentinel://b:26379"]
)
def test_every_kind_of_redis_address_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert load(monkeypatch, broker_url=url).broker_url.get_secret_value() == url


def test_secrets_show_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(monkeypatch, account="C1", apikey="hush-key", broker_url="redis://:hush-password@h/0")
    for text in (repr(loaded), str(loaded), f"{loaded}", repr(loaded.model_dump()), loaded.model_dump_json()):
        assert "hush" not in text


@pytest.mark.parametrize(
    "values",
    [
        {"broker_url": "amqp://user:hush@h/"},
        {"gateway_url": "https://user:hush@h/"},
        {"gateway_url": "https://h/?password=hush"},
        {"apikey": "hush", "lease_seconds": "1"},
        {"apikey": "hush", "broker_url": "redis://:hush@h/", "log_level": "LOUD"},
        {"reply_overrides": "hush"},
    ],
)
def test_secrets_show_in_no_error(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **values)
    seen: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        seen += [repr(error), str(error)]
        error = None if error.__suppress_context__ else error.__cause__ or error.__context__
    assert "hush" not in " ".join(seen)


def test_the_environment_comes_before_dotenv_before_secret_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("account", "apikey", "sentinel_master"):
        (secrets / f"voicecode_{name}").write_text("from-file\n")
    (tmp_path / ".env").write_text("VOICECODE_ACCOUNT=from-dotenv\nVOICECODE_SENTINEL_MASTER=from-dotenv\n")
    monkeypatch.setenv("VOICECODE_SECRETS_DIR", str(secrets))
    loaded = load(monkeypatch, sentinel_master="from-environment")
    account, apikey = loaded.require_gateway()
    assert (loaded.sentinel_master, account, apikey.get_secret_value()) == (
        "from-environment",
        "from-dotenv",
        "from-file",
    )
    assert settings.load(account="from-argument").account == "from-argument"


def test_a_directory_of_secrets_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = problems(monkeypatch, secrets_dir="/no/such/place")
    assert line == "VOICECODE_SECRETS_DIR: no such directory: /no/such/place"


def test_an_override_is_read_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, reply_overrides='{"4085": {"alert": "warn"}}').reply_overrides == {
        "4085": {"alert": "warn"}
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{not json", "VOICECODE_REPLY_OVERRIDES: must be a JSON object"),
        ("[1]", "VOICECODE_REPLY_OVERRIDES: "),
        ('{"4085": 1}', "VOICECODE_REPLY_OVERRIDES.4085: "),
        (
            '{"4085": {"alert": "loud"}}',
            "row '4085', column 'alert': 'loud' cannot be used; allowed: none, warn, page",
        ),
        ('{"4085": {"colour": "red"}}', "row '4085' has no column 'colour'"),
        ('{"never": {}}', "no row is called 'never'"),
        ('{"405": {"kind": "transient"}, "0": {"action": "wait"}}', "action 'wait' needs delay_seconds"),
        ('{"405": {"action": "backoff"}}', "a reply of kind 'permanent' cannot have action 'backoff'"),
        ('{"4080": {"delay_seconds": "nan"}}', "action 'wait' needs delay_seconds from 0"),
        ('{"4080": {"delay_seconds": 1e999}}', "action 'wait' needs delay_seconds from 0"),
        ('{"4080": {"times": -1}}', "times must be 0 or more"),
        ('{"408": {"text": "("}}', "row '408', column 'text'"),
    ],
)
def test_an_override_that_cannot_be_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    assert words in "\n".join(problems(monkeypatch, reply_overrides=text))


def test_settings_do_not_change_once_read() -> None:
    loaded: Any = settings.load()
    with pytest.raises(ValueError, match="frozen"):
        loaded.concurrency = 1
