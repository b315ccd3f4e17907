"""One request to ihuyi's HTTP interface, and what came back as a value."""

from worker.gateway.client import Gateway

__all__ = ["Gateway"]
