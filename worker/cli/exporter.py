"""`voicecode exporter`."""

import signal
from typing import Any

import click

from worker.cli.common import DONE, FAILED, USAGE, end
from worker.cli.common import settings as read_settings
from worker.cli.terminal import say


@click.command(short_help="Serve metrics to Prometheus.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9877, show_default=True, help="0: any free one."
)
def exporter(host: str, port: int) -> None:
    """Serve metrics at http://HOST:PORT/metrics until SIGTERM.

    One process serves any number of workers: it reads what their scripts count in Redis.
    It needs the extra `metrics`: pip install 'voicecode[metrics]'.
    """
    try:
        from worker.metrics.exporter import serve  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        end(USAGE, "prometheus-client is not installed: pip install 'voicecode[metrics]'")
        return
    from config import logs  # noqa: PLC0415 - `--help` does without it

    loaded = read_settings()
    logs.configure(loaded)
    # Before the server's thread: it must not be the one that receives the signal.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server, _ = serve(loaded, host, port)
    except OSError as error:
        end(FAILED, f"{host}:{port} cannot be listened on: {error.strerror}")
        return
    _serve_until_signal(server, signals)
    end(DONE)


def _serve_until_signal(server: Any, signals: set[signal.Signals]) -> None:
    host, port = server.server_address[:2]
    say(f"Metrics at http://{host}:{port}/metrics")
    signal.sigwait(signals)
    server.shutdown()
    server.server_close()
