"""One request to ihuyi's HTTP interface. Whatever comes back is a value."""

from worker.gateway.client import Gateway

__all__ = ["Gateway"]
