"""The stage that most tests with a real worker share: each uses keys and numbers of its own."""

from collections.abc import Iterator

import pytest

from tests.support.service import Stage, staged


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a healthy worker; code 4080 is tried again after a moment instead of a minute."""
    with staged(
        tmp_path_factory.mktemp("stage"), reply_overrides='{"4080": {"delay_seconds": 0.2}}'
    ) as stage:
        yield stage
