"""The field: ours and every peer, each in the form in which it is fastest.

A row says all that the trials need to know.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.venvs import PEERS, ROOT, bin_of
from config.names import QUEUE

OURS: Final = "ours"
ACCOUNT: Final = "C00000001"
APIKEY: Final = "made-up-key-of-the-benchmark"

Command = Callable[[str, int, int], list[list[str]]]
"""Folder of programs, processes, slots -> what to start."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One who places calls."""

    name: str
    title: str
    venv: str
    """Whose programs it uses, and whose client enqueues."""
    enqueue: str
    """`module:function` in `peers/`."""
    queue: str
    """Redis key of its queue: renamed, it holds everybody back."""
    command: Command
    codes: tuple[int, int]
    """In a drain at 0 ms, and at 100 ms: about four seconds of work."""
    slots: tuple[int, int]
    """Calls in flight in one process, at 0 ms and at 100 ms."""
    processes: tuple[int, int] = (2, 2)
    requests: bool = True
    """It posts with `requests`."""
    quiet_seconds: float = 0.5
    """So long without using the CPU, and it is ready.

    Stock Celery waits a second for its neighbours.
    """
    kombu_task: str = ""
    """The queue is filled with kombu messages for this task, as by its own client, but faster."""
    rival: bool = True
    """False: shown for comparison, no goal looks at it, for nobody runs it so."""
    checkout: Path = ROOT
    """Where the code of ours stands."""

    def commands(self, processes: int, slots: int) -> list[list[str]]:
        """Return what to start."""
        return self.command("" if self.name == OURS else f"{bin_of(self.venv)}/", processes, slots)

    @property
    def folder(self) -> Path:
        """Where it is started."""
        return self.checkout if self.name == OURS else PEERS

    def environment(
        self, *, redis_port: int, gateway: str, slots: int = 50, **settings: Any
    ) -> dict[str, str]:
        """Return its environment. `settings`: ours, by their names in lower case."""
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("VOICECODE_", "PYTHON"))
        }
        redis_url = f"redis://127.0.0.1:{redis_port}/0"
        theirs = {
            "RQ_REDIS_URL": redis_url,
            "BENCH_REDIS_PORT": str(redis_port),
            "BENCH_GATEWAY": gateway,
            "BENCH_SLOTS": str(slots),
        }
        given = {**_settings(redis_port, gateway, slots), **settings} if self.name == OURS else {}
        ours = {
            f"VOICECODE_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in given.items()
        }
        return {**clean, **theirs, **ours, "PYTHONPATH": str(self.folder)}


def _settings(redis_port: int, gateway: str, slots: int) -> Mapping[str, object]:
    """Return ours: as in production, with JSON logs and room for a million dead letters."""
    return {
        "broker_url": f"redis://127.0.0.1:{redis_port}/0",
        "gateway_url": gateway,
        "account": ACCOUNT,
        "apikey": APIKEY,
        "dynamic_password": gateway.startswith("http:"),
        "concurrency": slots,
        "log_format": "json",
        "log_level": "INFO",
        "dead_letters_max": 2_000_000,
    }


def _each(*words: str) -> Command:
    """Return a program's command for each process, with `{bin}`, `{slots}`, `{core}` filled in."""
    cores = os.cpu_count() or 1
    return lambda folder, processes, slots: [
        [word.format(bin=folder, slots=slots, core=number % cores) for word in words]
        for number in range(processes)
    ]


def _once(*words: str) -> Command:
    """Start a program once, which starts `{processes}` itself."""
    return lambda folder, processes, slots: [
        [word.format(bin=folder, slots=slots, processes=processes) for word in words]
    ]


_CELERY: Final = ("{bin}celery", "-A", "celery_tasks", "worker", "--loglevel", "WARNING")
_TASKIQ: Final = (
    "{bin}taskiq",
    "worker",
    "taskiq_tasks:broker",
    "--workers",
    "{processes}",
    "--max-async-tasks",
    "{slots}",
    "--log-level",
    "WARNING",
)
_RQ_WORKERS: Final = ("--num-workers", "{processes}", "--worker-class", "rq.SimpleWorker")
_RQ: Final = ("{bin}rq", "worker-pool", "bench", *_RQ_WORKERS, "--quiet")
_HUEY_COMMAND: Final = ("{bin}huey_consumer", "huey_tasks.huey", "-k", "thread", "-w", "{slots}", "-q")
_HUEY: Final = Contestant(
    name="huey",
    title="huey",
    venv="huey",
    enqueue="huey_tasks:enqueue",
    queue="huey.redis.bench",
    command=_each(*_HUEY_COMMAND),
    codes=(6000, 4500),
    slots=(8, 100),
)

FIELD: Final = (
    Contestant(
        name=OURS,
        title="ours: claims, records, JSON logs",
        venv="celery",
        enqueue="celery_tasks:enqueue_ours",
        queue=QUEUE,
        command=_each(sys.executable, "-m", "celery", "-A", "worker", "worker"),
        codes=(8000, 7000),
        slots=(50, 200),
        kombu_task="send_voice_code",
    ),
    Contestant(
        name="celery",
        title="Celery as it comes (prefork)",
        venv="celery",
        enqueue="celery_tasks:enqueue",
        queue="celery",
        command=_once(*_CELERY, "--concurrency", "{processes}"),
        codes=(1200, 80),
        slots=(1, 1),
        quiet_seconds=1.5,
        kombu_task="bench.once",
    ),
    Contestant(
        name="celery_threads",
        title="Celery with threads",
        venv="celery",
        enqueue="celery_tasks:enqueue_session",
        queue="celery",
        command=_each(*_CELERY, "--pool", "threads", "--concurrency", "{slots}"),
        codes=(2000, 1500),
        slots=(20, 100),
        quiet_seconds=1.5,
        kombu_task="bench.session",
    ),
    Contestant(
        name="dramatiq",
        title="dramatiq",
        venv="dramatiq",
        enqueue="dramatiq_tasks:enqueue",
        queue="dramatiq:default",
        command=_once(
            "{bin}dramatiq", "dramatiq_tasks", "--processes", "{processes}", "--threads", "{slots}"
        ),
        codes=(6000, 4000),
        slots=(8, 100),
    ),
    Contestant(
        name="rq",
        title="RQ without forks",
        venv="rq",
        enqueue="rq_tasks:enqueue",
        queue="rq:queue:bench",
        command=_once(*_RQ),
        codes=(2000, 400),
        slots=(1, 1),
        processes=(2, 16),
    ),
    Contestant(
        name="arq",
        title="arq with aiohttp",
        venv="arq",
        enqueue="arq_tasks:enqueue",
        queue="arq:queue",
        command=_each("{bin}arq", "arq_tasks.WorkerSettings"),
        codes=(4000, 2600),
        slots=(50, 100),
        requests=False,
    ),
    Contestant(
        name="taskiq",
        title="taskiq with aiohttp",
        venv="taskiq",
        enqueue="taskiq_tasks:enqueue",
        queue="taskiq",
        command=_once(*_TASKIQ),
        codes=(10_000, 8000),
        slots=(100, 200),
        requests=False,
    ),
    Contestant(
        name="taskiq_requests",
        title="taskiq with requests",
        venv="taskiq",
        enqueue="taskiq_tasks:enqueue_thread",
        queue="taskiq",
        command=_once(*_TASKIQ, "--max-threadpool-threads", "{slots}"),
        codes=(5000, 3000),
        slots=(20, 100),
    ),
    _HUEY,
    dataclasses.replace(
        _HUEY,
        name="huey_held",
        title="huey, each process held to a core of its own",
        command=_each("taskset", "-c", "{core}", *_HUEY_COMMAND),
        rival=False,
    ),
)
BY_NAME: Final = {contestant.name: contestant for contestant in FIELD}
