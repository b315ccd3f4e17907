"""Settings: `VOICECODE_*` from the environment, `.env`, and files in `VOICECODE_SECRETS_DIR`.

`docs/settings.md` is generated from the descriptions below. Durations are seconds.
"""

import base64
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from config import health, webhooks
from config.checks import PREFIX, problems
from config.replies import Replies

_BROKER_SCHEMES: Final = ("redis", "rediss", "redis+socket", "sentinel")

_LEAST_SECRET: Final = 16
_SEAL_KEY_BYTES: Final = 32
_MOST_DIGEST_KEYS: Final = 2

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Names of this host."""

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _seal_keys(text: str) -> tuple[tuple[str, bytes], ...]:
    """Read the setting. Raises ValueError, without any part of a key."""
    found: dict[str, bytes] = {}
    for part in filter(None, re.split(r"[,\s]+", text)):
        key_id, _, encoded = part.partition(":")
        try:
            secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except ValueError:
            secret = b""
        if (
            not re.fullmatch(r"[A-Za-z0-9-]{1,32}", key_id)
            or len(secret) != _SEAL_KEY_BYTES
            or key_id in found
        ):
            message = "must be id:key pairs from `voicecode keys new`, each id once, with commas between"
            raise ValueError(message)
        found[key_id] = secret
    return tuple(found.items())


class SettingsError(Exception):
    """The settings cannot be used. The text lists every problem, one a line, with its variable."""


class Settings(BaseSettings):
    """Every setting, checked. Secrets never show in `repr`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        validate_default=True,
    )

    broker_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description=(
            "Address of Redis for the queue and the ledger, in Celery's form:"
            " `redis://`, `rediss://`, `redis+socket://` or `sentinel://`."
        ),
    )
    sentinel_master: str = Field(
        "mymaster", min_length=1, description="With `sentinel://`: the name of the master."
    )
    sentinel_username: str | None = Field(
        None, min_length=1, description="With `sentinel://`: the user name that the sentinels ask for."
    )
    sentinel_password: SecretStr | None = Field(
        None,
        min_length=1,
        description="With `sentinel://`: the sentinels' password. The master's is in the address.",
    )
    sentinel_tls: bool = Field(
        default=False,
        description="With `sentinel://`: TLS to the sentinels and to the master."
        " Their certificates must name the addresses that the sentinels announce.",
    )
    redis_ca_bundle: Path | None = Field(
        None,
        description="File of trusted certificates for Redis over TLS. Default: the system's.",
    )

    account: str | None = Field(
        None, min_length=1, description="The gateway's APIID. A worker does not start without it."
    )
    apikey: SecretStr | None = Field(
        None, min_length=1, description="The gateway's APIKEY. A worker does not start without it."
    )
    gateway_url: str = Field(
        "https://api.voice.ihuyi.com/webservice/voice.php",
        description="The gateway's address, without `method=`. `http://` needs the dynamic password.",
    )
    dynamic_password: bool = Field(
        default=False, description="Send a signature, new for each attempt, instead of the APIKEY."
    )
    ca_bundle: Path | None = Field(
        None,
        description="File of certificates to trust for the gateway, instead of those in `requests`.",
    )
    proxies_from_environment: bool = Field(
        default=False,
        description="Use `HTTPS_PROXY` and similar variables for the gateway. Off: ignore them.",
    )

    connect_timeout_seconds: Seconds = Field(
        3.0, description="Time to connect to one address of the gateway."
    )
    read_timeout_seconds: Seconds = Field(
        8.0, description="How long the gateway may be silent between two parts of its reply."
    )
    attempt_deadline_seconds: Seconds = Field(
        10.0, description="A whole attempt: claim, name lookup, connect, TLS, reply header and body."
    )
    connection_idle_seconds: Seconds = Field(
        20.0, description="A connection to the gateway is not used again after being idle for this long."
    )

    lease_seconds: Seconds = Field(
        15.0, description="How long a claim holds. After that its worker counts as dead."
    )
    heartbeat_file: Path | None = Field(
        None,
        description="The consuming loop touches this file and one beside it; `voicecode-health` checks"
        f" their age. Default: `{health.HEARTBEAT_FILE}.NAME`, NAME being the worker's.",
    )
    heartbeat_max_age_seconds: Seconds = Field(
        health.HEARTBEAT_MAX_AGE_SECONDS,
        description="`voicecode-health --ready` fails if the heartbeat is older;"
        " `--live` after four times this.",
    )
    hold_seconds: Seconds = Field(15.0, description="At most one hint for a key within this time.")
    visibility_timeout_seconds: Seconds = Field(
        17.0, description="A fetched message that is not acked returns to the queue after this time."
    )
    upkeep_interval_seconds: Seconds = Field(
        1.0, le=60, description="How often each worker looks for due codes."
    )
    upkeep_batch: int = Field(
        200,
        ge=1,
        le=500,
        description="Most due codes that a worker puts back in one look. It bounds the retries a second.",
    )
    upkeep_backlog: int = Field(
        1000,
        ge=1,
        description="No due code is put back while this many still wait for a worker.",
    )
    reconnect_grace_seconds: float = Field(
        3.0,
        ge=0,
        le=600,
        description=(
            "After Redis comes back, leases hold for this much longer:"
            " outcomes that could not be written come first."
        ),
    )
    shutdown_grace_seconds: Seconds = Field(
        15.0, description="How long a stopping worker tries to write an outcome while Redis is away."
    )

    backoff_scale: float = Field(
        1.0,
        gt=0,
        le=10,
        description="Multiplies the waits between the tries of a code. Demos and tests lower it.",
    )
    ambiguous_delay_seconds: Seconds = Field(
        15.0,
        description="Wait after a try that may have rung the phone, drawn from half of this to all of it.",
    )
    retry_gap_seconds: float = Field(
        1.5,
        ge=0,
        le=60,
        description=(
            "Least time between two attempts of a code: the gateway refuses two in one second to one number."
        ),
    )
    max_attempts: int = Field(
        5,
        ge=1,
        le=20,
        description=(
            "Submissions of a code, including the first, that the gateway may refuse."
            " Tries that never reached the gateway do not count."
        ),
    )
    ambiguous_retries: int = Field(
        1,
        ge=0,
        le=4,
        description="Further tries after one that may have rung the phone. 0: never call twice.",
    )

    number_per_minute: int = Field(
        5,
        ge=0,
        le=60,
        description="Submissions to one number in a minute, over all codes and workers. About ten freeze "
        "the account. 0: no limit.",
    )
    number_per_day: int = Field(
        0, ge=0, description="Calls of one number in a day that were accepted or may have rung. 0: no limit."
    )
    latest_wins: bool = Field(
        default=True,
        description="Do not call a waiting code if a newer one for its number and purpose was asked for.",
    )
    fates: int = Field(
        0,
        ge=0,
        description="Write the end of each code into the stream `{voice_codes}:fates`, and keep about the "
        "last so many. 0: no stream. The same in every worker.",
    )
    calls_per_hour: int = Field(
        0,
        ge=0,
        description="Calls of the whole fleet in an hour. Beyond it sending stops until a person resumes it. "
        "0: no limit.",
    )
    calls_per_day: int = Field(0, ge=0, description="The same for a day. 0: no limit.")
    digest_key: SecretStr | None = Field(
        None,
        description="Secret for the digests of numbers and codes, of at least 16 characters. For a rotation "
        "two, the newest first, with a comma between. Unset: the first worker leaves one in Redis.",
    )
    seal_keys: SecretStr | None = Field(
        None,
        description="Private keys that seal numbers and codes in Redis: `id:key` from `voicecode keys new`, "
        "with commas between, the newest first. Needs the extra `sealed`. Unset: nothing is sealed.",
    )
    stop_sending: bool = Field(
        default=True,
        description="Stop the whole fleet when no worker can send: codes are parked, or become dead letters "
        "at once if a person must act. Off: each code is submitted, whatever became of the one before.",
    )
    unfit_after: int = Field(
        20,
        ge=0,
        le=1000,
        description="Tries in a row without a reply after which a worker leaves codes to others. 0: never.",
    )
    incident_quiet_seconds: Seconds = Field(
        900.0,
        description="An incident of log lines is over after this long without one; the next line pages.",
    )
    alert_webhook: SecretStr | None = Field(
        None,
        description="Where pages and the ends of incidents go beside the log: "
        "`form+https://host/path#secret`, several with spaces between. "
        "Forms: `dingtalk`, `wecom`, `feishu`, `slack`, `json`. `voicecode alert test` tries them.",
    )
    traces: Literal["off", "link", "child"] = Field(
        "off",
        description="Send spans to OpenTelemetry: each try is a trace that links to the producer's span, or "
        "a child of that span. Needs the extra `otel`; its `OTEL_*` variables say where to.",
    )
    standby: bool = Field(
        default=False,
        description="A worker of a second account: it fetches only while no worker of the first can send.",
    )
    host_name: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Name of the machine whose address the gateway sees. Default: the system's host name.",
    )
    probe_seconds: Seconds = Field(
        15.0,
        description="How often the balance is asked for while the account is empty. An unfit worker asks "
        "five times as often.",
    )
    balance_reserve: int = Field(
        0, ge=0, description="An empty account counts as topped up when its balance is above this."
    )
    balance_warn: str = Field(
        "1000,100,10",
        pattern=r"^(\d+(,\d+)*)?$",
        description="A balance below each of these is warned of once. Empty: never.",
    )

    code_ttl_seconds: Seconds = Field(
        300.0,
        description="Life of a code without `expires_at`, from when a worker first sees it.",
    )
    max_ttl_seconds: Seconds = Field(
        3600.0, description="An `expires_at` further ahead than this is bad input."
    )
    require_expires_at: bool = Field(default=False, description="Refuse messages without `expires_at`.")
    accepted_ttl_seconds: float = Field(
        86_400.0,
        gt=0,
        le=31_536_000,
        description="How long the record of an accepted code is kept. Until then duplicates are recognised.",
    )

    discard_undo_hours: float = Field(
        24.0,
        ge=0,
        le=8_760,
        description="How long a discarded dead letter can be brought back by `voicecode dead undo`.",
    )
    dead_retention_days: float = Field(
        30.0,
        ge=0,
        le=3_650,
        description="Upkeep purges dead letters older than this, each with an audit line. 0: never.",
    )
    code_grace_seconds: float = Field(
        3600.0,
        ge=0,
        le=31_536_000,
        description="Upkeep takes the code out of a dead letter this long after its life. Until then it can "
        "be replayed with a new life. The rest stays.",
    )
    number_retention_days: float = Field(
        7.0,
        ge=0,
        le=3_650,
        description="Upkeep takes the number out of a dead letter this long after its death. The masked "
        "number stays.",
    )
    dead_letters_max: int = Field(
        1_000_000,
        ge=1,
        description=(
            "Above this number, upkeep moves the oldest dead letters that can no longer be sent"
            " to files in the spill directory."
        ),
    )
    spill_dir: Path | None = Field(
        None,
        description=(
            "Directory for these files, which hold numbers and codes."
            " Without it the failure queue keeps growing, with an alert."
        ),
    )
    audit_entries: int = Field(
        1_000_000, ge=1_000, description="The audit trail in Redis keeps about this many lines."
    )
    console_url: str | None = Field(
        None,
        description="Address under which people open the console. Alerts link to it. Needed to serve other "
        "hosts than this one; `https://`, unless it names this host.",
    )
    console_proxy_secret: SecretStr | None = Field(
        None,
        description="Secret of at least 16 characters by which a reverse proxy proves itself to the console, "
        "in `X-Voicecode-Secret`. It then says who asks. Unset: no such header counts.",
    )
    console_session_seconds: Seconds = Field(
        43_200.0, description="How long a login to the console lasts; an hour without a page ends it sooner."
    )
    operator: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Your name in the audit trail. Default: user and host of the system.",
    )

    concurrency: int = Field(50, ge=1, le=1000, description="Calls in flight in one worker process.")
    keep_to_one_core: bool = Field(
        default=True,
        description=(
            "Linux: under load a worker process keeps to one core that others leave alone, which costs"
            " less CPU per code. At rest, on a full machine, or if the system refuses, it runs on all."
        ),
    )
    remote_control: bool = Field(
        default=False,
        description="Let workers answer `celery inspect` and `celery control`. Whoever reaches Redis may then"
        " stop them.",
    )
    log_level: Level = Field("INFO", description="Our own log lines.")
    celery_log_level: Level = Field(
        "WARNING", description="Log lines of Celery, kombu and the other libraries."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: console on a terminal, else JSON."
    )

    reply_overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description=(
            'JSON that changes rows of the table in `docs/replies.md`, such as `{"4085": {"alert": "warn"}}`.'
        ),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, `.env`, and files of secrets."""
        del settings_cls
        return (init_settings, env_settings, dotenv_settings, file_secret_settings)

    @field_validator("broker_url")
    @classmethod
    def _broker_is_redis(cls, value: SecretStr) -> SecretStr:
        scheme = urlsplit(value.get_secret_value().split(";", 1)[0]).scheme
        if scheme not in _BROKER_SCHEMES:
            known = ", ".join(s + "://" for s in _BROKER_SCHEMES)
            message = f"must be a Redis address ({known}), not {scheme or 'without a scheme'}"
            raise ValueError(message)
        if "ssl_" in urlsplit(value.get_secret_value()).query and scheme not in {"rediss", "sentinel"}:
            message = f"has ssl_ parameters, but {scheme}:// has no TLS: write rediss://"
            raise ValueError(message)
        if ";" in value.get_secret_value() and scheme != "sentinel":
            message = (
                "must be one address, because queue and ledger share one Redis; for fail-over use sentinel://"
            )
            raise ValueError(message)
        return value

    @field_validator("gateway_url")
    @classmethod
    def _gateway_is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be an http:// or https:// address"
            raise ValueError(message)
        if parts.username or parts.password or parts.query or parts.fragment:
            message = "must not hold user, password, query or fragment; the worker adds `method=`"
            raise ValueError(message)
        return value

    @field_validator("console_url")
    @classmethod
    def _console_is_safe(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://console")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            message = "must be an http:// or https:// address without user and password"
            raise ValueError(message)
        if parts.path.strip("/") or parts.query or parts.fragment:
            message = "must not hold a path: the console has a host name of its own"
            raise ValueError(message)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            message = "must be https:// for other hosts: passwords and sessions would pass in clear"
            raise ValueError(message)
        return value and value.rstrip("/")

    @field_validator("console_proxy_secret")
    @classmethod
    def _proxy_secret_is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < _LEAST_SECRET:
            message = f"must have {_LEAST_SECRET} characters or more"
            raise ValueError(message)
        return value

    @field_validator("digest_key")
    @classmethod
    def _digest_keys_are_long(cls, value: SecretStr | None) -> SecretStr | None:
        secrets = value.get_secret_value().split(",") if value else []
        if len(secrets) > _MOST_DIGEST_KEYS or any(len(secret) < _LEAST_SECRET for secret in secrets):
            message = (
                f"must be one secret, or two with a comma between, of {_LEAST_SECRET} characters or more"
            )
            raise ValueError(message)
        return value

    @field_validator("seal_keys")
    @classmethod
    def _seal_keys_can_be_read(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            _seal_keys(value.get_secret_value())
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _webhooks_can_be_read(cls, value: SecretStr | None) -> SecretStr | None:
        webhooks.read(value.get_secret_value() if value else "")
        return value

    @field_validator("ca_bundle", "redis_ca_bundle")
    @classmethod
    def _bundle_is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            message = f"no such file: {value}"
            raise ValueError(message)
        return value

    @field_validator("reply_overrides")
    @classmethod
    def _overrides_fit(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        Replies(value)
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        found = problems(self)
        if found:
            raise ValueError("\n".join(found))
        return self

    @property
    def seal_key_pairs(self) -> tuple[tuple[str, bytes], ...]:
        """Ids and private keys of the seals, the newest first."""
        return _seal_keys(self.seal_keys.get_secret_value()) if self.seal_keys else ()

    @property
    def digest_keys(self) -> tuple[str, ...]:
        """The secrets of the digests, the newest first; empty if Redis keeps one."""
        return tuple(self.digest_key.get_secret_value().split(",")) if self.digest_key else ()

    @property
    def dedup_horizon_seconds(self) -> float:
        """How long a duplicate may still arrive: a record must be kept at least this long."""
        return self.code_ttl_seconds + 10 * self.visibility_timeout_seconds

    def require_gateway(self) -> tuple[str, SecretStr]:
        """Return the account and the key. Raises SettingsError if one is missing."""
        missing = [PREFIX + name.upper() for name in ("account", "apikey") if getattr(self, name) is None]
        if self.account is None or self.apikey is None:
            message = "\n".join(
                f"{name} is not set: a worker cannot place calls without it" for name in missing
            )
            raise SettingsError(message)
        return self.account, self.apikey


def load(**values: Any) -> Settings:
    """Read the settings. Raises SettingsError, which lists every problem at once."""
    secrets_dir = os.environ.get(f"{PREFIX}SECRETS_DIR")
    if secrets_dir and not Path(secrets_dir).is_dir():
        message = f"{PREFIX}SECRETS_DIR: no such directory: {secrets_dir}"
        raise SettingsError(message)
    try:
        return Settings(_secrets_dir=secrets_dir, **values)
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None
    except UnreadableError:
        message = f"{PREFIX}REPLY_OVERRIDES: must be a JSON object"
        raise SettingsError(message) from None


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] in {"too_short", "string_too_short"}:
            text = "must not be empty"  # pydantic counts the "items" of a secret
        name = ".".join(str(part) for part in problem["loc"])
        lines.append(f"{PREFIX}{name.upper()}: {text}" if name else text)
    return lines
