"""Status: what keeps codes from being called, in a few words for the screen."""

from worker.demo.tracker import meaning_of
from worker.sending import State
from worker.sending.account import Account
from worker.simulator.client import SimulatorClient


def describe(account: Account, gateway: SimulatorClient) -> str:
    """Return it; empty while codes are called as usual."""
    sending = account.sending()
    words = {
        State.STOPPED: f"sending has stopped ({meaning_of(sending.row)}), {sending.parked} parked",
        State.TRIAL: "on trial",
    }
    away = "nobody answers at the gateway" if gateway.state()["outage"] else ""
    return "; ".join(filter(None, (words.get(sending.state), away)))
