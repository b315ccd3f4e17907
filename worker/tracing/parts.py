"""Parts: which ledger, gateway and delivery a worker is built of: the traced ones, or the plain."""

import dataclasses
import functools
from collections.abc import Callable
from importlib.metadata import version

from config.settings import Settings
from worker.delivery import Delivery
from worker.gateway.client import Gateway
from worker.ledger import Ledger
from worker.tracing.start import start


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What builds each. `close`: sends the spans that wait."""

    ledger: Callable[..., Ledger] = Ledger
    gateway: Callable[..., Gateway] = Gateway
    delivery: Callable[..., Delivery] = Delivery
    close: Callable[[], None] = lambda: None


def parts_of(settings: Settings, *, instance: str) -> Parts:
    """Return the plain parts, which know nothing of traces, unless traces are asked for.

    Raises SettingsError.
    """
    if settings.traces == "off":
        return Parts()
    spans, close = start(settings, instance=instance, version=version("voicecode"))
    from worker.tracing.traced import TracedDelivery, TracedGateway, TracedLedger  # noqa: PLC0415 - an extra

    return Parts(
        ledger=functools.partial(TracedLedger, spans=spans),
        gateway=functools.partial(TracedGateway, spans=spans),
        delivery=functools.partial(TracedDelivery, spans=spans),
        close=close,
    )
