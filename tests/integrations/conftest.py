"""What the tests with other people's programs share."""

from pathlib import Path

import pytest

from tests.integrations.prometheus import found_programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that has `prometheus` and `promtool`."""
    return found_programs(tmp_path_factory.mktemp("prometheus"))
