"""Keeping to one core: each rule with values, and processes on a simulated machine."""

import math
import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.process import cpu
from worker.process.affinity import BUSY, FULL_SECONDS, QUIET_SECONDS, State, choose, step, wants_core
from worker.process.cpu import Reading, allowed_cores, busy_seconds, own_tasks, place

STAT = """\
cpu  500 20 300 9000 100 7 13 80 0 0
cpu0 300 10 200 4000 100 5 5 80 50 0
cpu12 200 10 100 5000 0 2 8 0 0 0
intr 17776977 0 0 1 2
ctxt 12345
"""


def first(cores: Sequence[int]) -> int:
    return cores[0]


def never(cores: Sequence[int]) -> int:
    raise AssertionError(cores)


@pytest.mark.parametrize(
    ("kept", "own", "quiet_seconds", "wanted"),
    [
        (False, BUSY - 0.01, 0.0, False),
        (False, BUSY, 0.0, True),
        (False, 1.3, 0.0, True),
        (True, 0.3, 0.0, True),
        (True, 0.0, QUIET_SECONDS - 0.01, True),
        (True, 0.0, QUIET_SECONDS, False),
    ],
)
def test_a_core_is_kept_from_half_a_core_of_load_until_a_second_of_rest(
    *, kept: bool, own: float, quiet_seconds: float, wanted: bool
) -> None:
    assert wants_core(kept=kept, own=own, quiet_seconds=quiet_seconds) is wanted


@pytest.mark.parametrize(
    ("own", "busy", "chosen"),
    [
        pytest.param(0.9, {0: 0.5, 1: 0.4}, 1, id="an idle machine: home"),
        pytest.param(0.9, {0: 0.0, 1: 0.9}, 1, id="home is busy with ourselves: home"),
        pytest.param(0.5, {0: 0.3, 1: 0.9}, None, id="others use home as much as the other core: nowhere"),
        pytest.param(0.5, {0: 0.0, 1: 1.0}, 0, id="others use home, and the other core is idle: not home"),
        pytest.param(0.6, {0: 1.0, 1: 1.0}, None, id="all are busy: nowhere"),
        pytest.param(0.9, {0: 0.0, 1: 0.0}, None, id="figures that do not show ourselves: nowhere"),
        pytest.param(0.9, {1: 1.0, 5: 0.2}, 1, id="cores need not be numbered without gaps"),
    ],
)
def test_a_free_process_takes_its_home_core_unless_others_are_there(
    own: float, busy: Mapping[int, float], chosen: int | None
) -> None:
    assert choose(None, home=1, own=own, busy=busy, draw=first) == chosen


@pytest.mark.parametrize(
    ("own", "busy", "chosen"),
    [
        pytest.param(0.9, {0: 0.9, 1: 0.0}, 0, id="alone there, away from home: stays"),
        pytest.param(0.5, {0: 1.0, 1: 0.0}, 1, id="others use half of it, another is idle: moves"),
        pytest.param(0.5, {0: 1.0, 1: 0.3}, None, id="the other one is not so much better: free"),
        pytest.param(0.75, {0: 1.0, 1: 0.0}, 0, id="others use a quarter: stays"),
        pytest.param(0.5, {0: 1.0, 1: 1.0}, None, id="all are busy: free"),
        pytest.param(0.5, {0: 1.0, 1: 0.4, 2: 0.1}, 2, id="the idle one of two others"),
        pytest.param(0.9, {0: 0.0, 1: 0.1}, 0, id="figures that do not show ourselves: stays"),
        pytest.param(0.9, {0: 0.7, 1: 0.0}, 0, id="the kernel's figure is behind the process' own: stays"),
    ],
)
def test_a_process_that_others_disturb_moves_to_a_core_that_is_much_better_or_runs_free(
    own: float, busy: Mapping[int, float], chosen: int | None
) -> None:
    assert choose(0, home=1, own=own, busy=busy, draw=first) == chosen


def test_it_is_drawn_among_all_better_cores_and_no_other() -> None:
    """Those who look at the same moment must not all find the same one."""
    seen: list[Sequence[int]] = []

    def draw(cores: Sequence[int]) -> int:
        seen.append(cores)
        return cores[-1]

    assert choose(0, home=0, own=0.4, busy={0: 1.0, 1: 0.0, 2: 0.9, 3: 0.1}, draw=draw) == 3
    assert seen == [[1, 3]]
    assert choose(0, home=0, own=0.9, busy={0: 1.0, 1: 0.2}, draw=never) == 0


class Machine:
    """Busy processes, each kept to one core, look one after the other in random order."""

    def __init__(self, cores: int, homes: list[int], seed: int) -> None:
        self.cores = cores
        self.homes = homes
        self.at: list[int] = list(homes)
        self.random = random.Random(seed)
        self.moves = 0

    def look(self, number: int) -> None:
        counts = [self.at.count(core) for core in range(self.cores)]
        busy = {core: min(count, 1.0) for core, count in enumerate(counts)}
        here = self.at[number]
        chosen = choose(
            here, home=self.homes[number], own=1 / counts[here], busy=busy, draw=self.random.choice
        )
        assert chosen is not None
        self.moves += chosen != here
        self.at[number] = chosen

    def round(self) -> None:
        for number in self.random.sample(range(len(self.at)), len(self.at)):
            self.look(number)


@pytest.mark.parametrize(("cores", "processes"), [(2, 2), (4, 4), (8, 3), (8, 8)])
@pytest.mark.parametrize("seed", range(5))
def test_processes_that_begin_on_one_core_spread_and_then_stay(cores: int, processes: int, seed: int) -> None:
    """Containers: in each the worker has the same pid, and so the same home."""
    machine = Machine(cores, [0] * processes, seed)
    for _ in range(3):
        machine.round()
    assert len(set(machine.at)) == min(cores, processes)
    moved = machine.moves
    for _ in range(20):
        machine.round()
    assert machine.moves == moved


def test_siblings_have_homes_of_their_own_and_stay_there() -> None:
    machine = Machine(4, [1, 2, 3, 0], seed=0)
    for _ in range(20):
        machine.round()
    assert machine.moves == 0


ALL = (0, 1)


class Watched:
    """A process that looks each half second; it and others use the cores as told."""

    def __init__(self) -> None:
        self.now = Reading(clock=0.0, own=0.0, busy={})
        self.busy = dict.fromkeys(ALL, 0.0)
        self.state = State(home=1, last=self.now)

    def look(self, own: float, *busy: float, seconds: float = 0.5) -> State:
        clock, used = self.now.clock + seconds, self.now.own + own * seconds
        self.busy = {core: self.busy[core] + share * seconds for core, share in zip(ALL, busy, strict=True)}
        shown = dict(self.busy) if self.state.choose_at <= clock else {}
        self.now = Reading(clock=clock, own=used, busy=shown)
        self.state = step(self.state, self.now, pause_seconds=1.0, draw=first)
        return self.state


def test_at_rest_no_reading_covers_the_cores() -> None:
    """/proc/stat is expensive on a large host."""
    watched = Watched()
    assert [watched.look(0.1, 0.5, 0.6).choose_at for _ in range(5)] == [math.inf] * 5
    assert watched.state.core is None


def test_a_busy_process_is_measured_for_a_second_and_keeps_to_its_home() -> None:
    watched = Watched()
    assert [watched.look(0.9, 0.45, 0.45).core for _ in range(4)] == [None, None, None, 1]
    assert watched.look(0.9, 0.0, 0.9).core == 1


def test_a_second_of_rest_frees_it_and_a_shorter_one_does_not() -> None:
    watched = Watched()
    while watched.state.core is None:
        watched.look(0.9, 0.45, 0.45)
    assert [watched.look(own, 0.0, own).core for own in (0.1, 0.9, 0.1, 0.1)] == [1, 1, 1, None]
    assert watched.state.choose_at == math.inf


def test_a_full_machine_frees_it_and_it_looks_again_after_ten_seconds() -> None:
    watched = Watched()
    while watched.state.core is None:
        watched.look(0.9, 0.45, 0.45)
    while watched.state.core is not None:
        watched.look(0.5, 1.0, 1.0)
    freed_at = watched.now.clock
    assert watched.state.choose_at == freed_at + FULL_SECONDS
    while watched.state.core is None:
        watched.look(0.9, 0.0, 0.9)
    assert watched.now.clock == freed_at + FULL_SECONDS + 1.0


def test_busy_is_neither_idle_nor_waiting_for_a_disk_nor_stolen() -> None:
    tick = os.sysconf("SC_CLK_TCK")
    assert busy_seconds(STAT) == {0: 520 / tick, 12: 320 / tick}


def test_shares_are_of_the_time_between_two_readings() -> None:
    before = Reading(clock=10.0, own=3.0, busy={0: 7.0, 1: 8.0})
    after = Reading(clock=12.0, own=4.0, busy={0: 8.0, 1: 8.5})
    assert after.since(before) == (2.0, 0.5, {0: 0.5, 1: 0.25})


linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads have no affinity here")


@linux
def test_a_thread_that_has_ended_is_passed_over() -> None:
    thread = threading.Thread()
    thread.start()
    thread.join()
    ended = thread.native_id
    assert ended is not None
    wait_for(lambda: ended not in own_tasks(), LIMIT_SECONDS, "the end of the thread in the kernel as well")
    place(os.sched_getaffinity(0), lambda: {ended, threading.get_native_id()})


@pytest.fixture
def idle() -> Iterator[list[int]]:
    """Give the ids of two threads that do nothing."""
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield [thread.native_id or 0 for thread in threads]
    over.set()
    for thread in threads:
        thread.join()


@linux
def test_a_thread_that_starts_meanwhile_is_found(idle: list[int]) -> None:
    """It has the cores of the one that started it, whose turn perhaps had not come."""
    looks = iter([{idle[0]}, set(idle), set(idle)])
    core = min(os.sched_getaffinity(0))
    place([core], lambda: next(looks))
    assert [os.sched_getaffinity(task) for task in idle] == [{core}, {core}]


@linux
def test_a_core_that_is_not_allowed_is_an_error(idle: list[int]) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        place([8191], lambda: set(idle))


def test_a_system_without_affinity_leaves_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert allowed_cores() == []


@linux
def test_cores_that_the_figures_do_not_show_leave_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some containers number those in /proc/stat afresh."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 0, 7})
    monkeypatch.setattr(cpu, "busy_seconds", lambda: dict.fromkeys(range(8), 0.0))
    assert allowed_cores() == [0, 4, 7]
    monkeypatch.setattr(cpu, "busy_seconds", lambda: dict.fromkeys(range(3), 0.0))
    assert allowed_cores() == []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert allowed_cores() == []
