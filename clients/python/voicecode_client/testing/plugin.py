"""The pytest fixture. Installing `voicecode-client[testing]` is enough to have it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from voicecode_client.testing.desk import VoiceCodes
from voicecode_client.testing.install import celery_calls_nobody, nobody_is_called


@pytest.fixture
def voicecode() -> Iterator[VoiceCodes]:
    """Call nobody in this test; give what the app sent, and the means to decide what follows."""
    with nobody_is_called() as desk:
        yield desk


@pytest.fixture
def voicecode_celery(voicecode: VoiceCodes) -> Iterator[Callable[[Any], VoiceCodes]]:
    """Give a function that takes a Celery app, which then calls nobody in this test either."""
    with ExitStack() as stack:

        def of(app: Any) -> VoiceCodes:
            stack.enter_context(celery_calls_nobody(app, voicecode))
            return voicecode

        yield of
