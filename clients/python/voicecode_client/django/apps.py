"""The entry `voicecode_client.django` of INSTALLED_APPS: registers the check."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from voicecode_client.django import client


class Voicecode(AppConfig):
    """Has the setting looked at by `manage.py check`, and so by each start and each test run."""

    name = "voicecode_client.django"
    label = "voicecode"

    def ready(self) -> None:
        """Register the check."""
        checks.register(check_setting)


def check_setting(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Make the client, and send nothing: Redis may be down while an app is deployed."""
    del app_configs
    try:
        client()
    except (ImproperlyConfigured, ImportError, TypeError) as error:
        hint = 'for example VOICECODE = {"URL": "redis://127.0.0.1:6379/0"}'
        return [checks.Error(str(error), hint=hint, id="voicecode.E001")]
    if "ssl_cert_reqs=none" in settings.VOICECODE["URL"]:
        return [checks.Warning("VOICECODE['URL'] verifies no certificate", id="voicecode.W001")]
    return []
