"""The service that most tests with a real worker share: each uses keys and numbers of its own."""

from collections.abc import Iterator

import pytest

from tests.support.service import Service, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a healthy worker; code 4080 is tried again after a moment instead of a minute."""
    with running_service(
        tmp_path_factory.mktemp("service"),
        reply_overrides='{"4080": {"delay_seconds": 0.2, "blocks_seconds": 0}}',
    ) as service:
        yield service
