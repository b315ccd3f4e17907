"""How Redis is reached: one answer for queue and ledger, value by value."""

from pathlib import Path
from typing import Any

import pytest

from config.celeryconfig import celery_settings
from config.redis_access import broker_url, sentinel_options, tls_options
from config.settings import Settings

VERIFIED = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


def settings(url: str, **values: Any) -> Settings:
    return Settings(_env_file=None, broker_url=url, **values)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://h/0", {}),
        ("redis+socket:///run/r.sock?virtual_host=1", {}),
        ("sentinel://a;sentinel://b/0", {}),
        ("rediss://h/0", VERIFIED),
        ("rediss://h/0?ssl_ca_certs=/ca.pem", {**VERIFIED, "ssl_ca_certs": "/ca.pem"}),
        ("rediss://h/0?ssl_cert_reqs=CERT_REQUIRED", VERIFIED),
        ("rediss://h/0?ssl_check_hostname=False", {**VERIFIED, "ssl_check_hostname": False}),
        ("rediss://h/0?ssl_cert_reqs=none", {"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
        ("sentinel://a;sentinel://b/0?ssl_cert_reqs=required", VERIFIED),
    ],
)
def test_tls_verifies_unless_the_address_says_otherwise(url: str, options: dict[str, Any]) -> None:
    assert tls_options(settings(url)) == options
    assert celery_settings(settings(url))["broker_use_ssl"] == (options or None)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("rediss://:p%40ss@h:6380/1?ssl_cert_reqs=none", "rediss://:p%40ss@h:6380/1"),
        ("redis+socket:///run/r.sock?virtual_host=1", "redis+socket:///run/r.sock?virtual_host=1"),
        ("sentinel://a:1;sentinel://b:2/0?ssl_ca_certs=/c", "sentinel://a:1;sentinel://b:2/0"),
    ],
)
def test_parameters_of_tls_are_taken_out_of_the_address_and_all_else_stays(url: str, plain: str) -> None:
    """Kombu would take them in place of ours, not beside them."""
    assert broker_url(settings(url)) == plain


def test_an_authority_of_ones_own_is_named_once_for_redis_and_the_sentinels(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    found = settings("sentinel://a/0", sentinel_tls=True, sentinel_password="hush", redis_ca_bundle=bundle)
    verified = {**VERIFIED, "ssl_ca_certs": str(bundle)}
    assert tls_options(found) == verified
    assert sentinel_options(found) == {"password": "hush", "ssl": True, **verified}


def test_the_password_of_the_master_is_not_told_to_the_sentinels() -> None:
    assert sentinel_options(settings("sentinel://:hush@a/0")) == {}
