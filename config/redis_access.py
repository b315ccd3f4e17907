"""How queue and ledger reach Redis: addresses, what TLS verifies, the sentinels' password."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from config.settings import Settings

_TLS_PARAMETER: Final = "ssl_"


def broker_url(settings: Settings) -> str:
    """Return the address without its `ssl_` parameters: they are in `tls_options`."""
    return split(settings.broker_url.get_secret_value())[0]


def tls_options(settings: Settings) -> dict[str, Any]:
    """Return redis-py's options for TLS to Redis, empty without TLS.

    Certificate and host name are verified unless the address says otherwise.
    kombu by itself verifies nothing with a plain `rediss://`.
    """
    url, asked = split(settings.broker_url.get_secret_value())
    by_sentinel = url.startswith("sentinel://") and (settings.sentinel_tls or asked)
    if not url.startswith("rediss://") and not by_sentinel:
        return {}
    options: dict[str, Any] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    if settings.redis_ca_bundle is not None:
        options["ssl_ca_certs"] = str(settings.redis_ca_bundle)
    options |= asked
    options["ssl_cert_reqs"] = options["ssl_cert_reqs"].lower().removeprefix("cert_")
    if options["ssl_cert_reqs"] == "none":
        options["ssl_check_hostname"] = False
    return options


def sentinel_options(settings: Settings) -> dict[str, Any]:
    """Return redis-py's options for a connection to a sentinel, time-outs aside."""
    options: dict[str, Any] = {}
    if settings.sentinel_username is not None:
        options["username"] = settings.sentinel_username
    if settings.sentinel_password is not None:
        options["password"] = settings.sentinel_password.get_secret_value()
    if settings.sentinel_tls:
        options |= {"ssl": True, **tls_options(settings)}
    return options


def split(url: str) -> tuple[str, dict[str, Any]]:
    """Return an address, or several joined by `;`, and apart from it its `ssl_` parameters."""
    parts: list[str] = []
    options: dict[str, Any] = {}
    for part in url.split(";"):
        parsed = urlsplit(part)
        query = parse_qsl(parsed.query, keep_blank_values=True)
        options |= {name: value for name, value in query if name.startswith(_TLS_PARAMETER)}
        kept = [(name, value) for name, value in query if not name.startswith(_TLS_PARAMETER)]
        parts.append(parsed._replace(query=urlencode(kept)).geturl() if len(kept) < len(query) else part)
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() != "false"
    return ";".join(parts), options
