"""The faults: what each kind does to the cluster, and how it is healed.

Each runs in a thread of its own.
"""

import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

from tests.chaos.cluster import Cluster
from tests.chaos.plan import Fault
from worker.simulator.control import REFUSE

Injection = Callable[[Cluster, Fault], None]
_STOP_SECONDS: Final = 15.0
_START_SECONDS: Final = 60.0
_CALLS: Final = 1_000_000


def _restart(cluster: Cluster, fault: Fault) -> None:
    cluster.workers[fault.worker].restart(_START_SECONDS)


def _kill(cluster: Cluster, fault: Fault) -> None:
    cluster.workers[fault.worker].kill()
    time.sleep(fault.seconds)
    _restart(cluster, fault)


def _freeze(cluster: Cluster, fault: Fault) -> None:
    cluster.workers[fault.worker].signal(signal.SIGSTOP)
    time.sleep(fault.seconds)
    cluster.workers[fault.worker].signal(signal.SIGCONT)


def _freeze_and_kill(cluster: Cluster, fault: Fault) -> None:
    cluster.workers[fault.worker].signal(signal.SIGSTOP)
    time.sleep(fault.seconds)
    cluster.workers[fault.worker].kill()
    _restart(cluster, fault)


def _terminate(cluster: Cluster, fault: Fault) -> None:
    cluster.workers[fault.worker].stop(_STOP_SECONDS)
    time.sleep(fault.seconds)
    _restart(cluster, fault)


def _kill_redis(cluster: Cluster, fault: Fault) -> None:
    cluster.redis.kill()
    time.sleep(fault.seconds)
    cluster.redis.start()


def _freeze_redis(cluster: Cluster, fault: Fault) -> None:
    os.kill(cluster.redis.pid, signal.SIGSTOP)
    time.sleep(fault.seconds)
    os.kill(cluster.redis.pid, signal.SIGCONT)


def _fill_redis(cluster: Cluster, fault: Fault) -> None:
    with cluster.redis.client() as client:
        client.config_set("maxmemory", 1)
        time.sleep(fault.seconds)
        client.config_set("maxmemory", 0)


def _kill_gateway(cluster: Cluster, fault: Fault) -> None:
    cluster.gateway.kill()
    time.sleep(fault.seconds)
    cluster.gateway.restart()


def _gateway_outage(scenario: str) -> Injection:
    def inject(cluster: Cluster, fault: Fault) -> None:
        cluster.gateway.client.outage(scenario)
        time.sleep(fault.seconds)
        cluster.gateway.client.outage(None)

    return inject


def _empty_account(cluster: Cluster, fault: Fault) -> None:
    cluster.gateway.client.balance(0)
    time.sleep(fault.seconds)
    cluster.gateway.client.top_up(_CALLS)


def _freeze_account(cluster: Cluster, fault: Fault) -> None:
    """Freeze it, and lift that; `tests/chaos/operators.py` resumes and replays."""
    cluster.frozen = True
    cluster.gateway.client.account("4050")
    time.sleep(fault.seconds)
    cluster.gateway.client.account(None)
    cluster.frozen = False


def _refuse_host(cluster: Cluster, fault: Fault) -> None:
    address = cluster.addresses[fault.worker]
    cluster.gateway.client.client_address(address, "4052")
    time.sleep(fault.seconds)
    cluster.gateway.client.client_address(address, None)


def _link(side: str, how: str) -> Injection:
    def inject(cluster: Cluster, fault: Fault) -> None:
        links = {
            "redis": cluster.redis_links,
            "gateway": cluster.gateway_links,
            "producer": [cluster.producer_link],
        }[side]
        link = links[fault.worker % len(links)]
        getattr(link, how)()
        time.sleep(fault.seconds)
        if how != "sever":
            link.heal()

    return inject


INJECTIONS: Final[dict[str, Injection]] = {
    "worker.kill": _kill,
    "worker.freeze": _freeze,
    "worker.freeze_and_kill": _freeze_and_kill,
    "worker.terminate": _terminate,
    "redis.kill": _kill_redis,
    "redis.freeze": _freeze_redis,
    "redis.full": _fill_redis,
    "gateway.kill": _kill_gateway,
    "gateway.storm": _gateway_outage("http_503:1"),
    "gateway.lose": _gateway_outage("accepted_then_reset"),
    "gateway.slow": _gateway_outage("slow:0.6"),
    "gateway.hang": _gateway_outage("accepted_then_silent:60"),
    "gateway.away": _gateway_outage(REFUSE),
    "gateway.zeros": _gateway_outage("0"),
    "gateway.broken": _gateway_outage("http_502"),
    "gateway.web_page": _gateway_outage("html"),
    "gateway.account_empty": _empty_account,
    "gateway.account_frozen": _freeze_account,
    "gateway.host_refused": _refuse_host,
    **{
        f"{side}_link.{how}": _link(side, how)
        for side in ("redis", "gateway", "producer")
        for how in ("cut", "freeze", "sever")
    },
}


class Faults:
    """Carries out a schedule. It breaks nothing twice before it was mended."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._threads: list[threading.Thread] = []
        self.done: Counter[str] = Counter()
        self.redis_away: list[tuple[float, float]] = []
        """Periods, in epoch seconds, in which Redis itself was killed, frozen or full."""
        self.held_back: list[tuple[float, float]] = []
        """The same for connections to the gateway, which kept what was sent."""
        self.failed: list[str] = []

    def begin(self, fault: Fault) -> None:
        """Start a fault; returns at once."""
        system = fault.kind.partition(".")[0]
        target = system if system in {"redis", "gateway", "producer_link"} else f"{system} {fault.worker}"
        thread = threading.Thread(target=self._carry_out, args=(fault, self._locks[target]), daemon=True)
        thread.start()
        self._threads.append(thread)

    def wait(self) -> None:
        """Wait until everything is well again.

        Raises AssertionError if something could not be mended.
        """
        for thread in self._threads:
            thread.join()
        assert not self.failed, self.failed

    def _carry_out(self, fault: Fault, lock: threading.Lock) -> None:
        with lock:
            began = time.time()
            try:
                INJECTIONS[fault.kind](self._cluster, fault)
            except Exception as error:  # noqa: BLE001 - told at the end
                self.failed.append(f"{fault}: {error!r}")
                return
        self.done[fault.kind] += 1
        if fault.kind.startswith("redis."):
            self.redis_away.append((began, time.time()))
        if fault.kind == "gateway_link.freeze":
            self.held_back.append((began, time.time()))
        with (self._cluster.folder / "faults").open("a") as log:
            log.write(f"{began:.3f} {time.time():.3f} {fault.kind} {fault.worker}\n")
