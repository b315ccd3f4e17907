"""What counts as the fault of a message, and what as the machine's."""

import pytest

from worker.transport.unreadable import Malformed, fault_of_message


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), MemoryError(), NotImplementedError()], ids=repr
)
def test_a_lack_of_threads_or_memory_buries_nothing(error: Exception) -> None:
    assert not fault_of_message(error)


@pytest.mark.parametrize("error", [Malformed(), KeyError("id"), UnicodeError(), RecursionError()], ids=repr)
def test_what_cannot_be_decoded_is_buried(error: Exception) -> None:
    assert fault_of_message(error)
