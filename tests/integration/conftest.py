"""The service that most tests with a real worker share: each uses keys and numbers of its own."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.service import Service, running_service

SOON: Final = {"delay_seconds": 0.2, "blocks_seconds": 0}


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a healthy worker; replies of too often are tried again after a moment, not a minute."""
    with running_service(
        tmp_path_factory.mktemp("service"),
        reply_overrides=json.dumps(dict.fromkeys(("4080", "4081", "4010/limit"), SOON)),
    ) as service:
        yield service
