"""Listener: what delivery tells the fleet."""

from typing import Protocol

from config.replies import Row


class HearsOfTries(Protocol):
    """The part of the fleet that delivery needs."""

    @property
    def incident(self) -> str:
        """The name of the incident that lasts, or nothing."""
        ...

    def heard(self, row: Row, number: str, transition: str) -> None:
        """Take note of a reply, and of what recording it did to the fleet."""

    def moved(self, transition: str) -> None:
        """Log what a claim or a result did to the fleet."""

    def stand_aside(self) -> None:
        """Fetch nothing until the next report."""


class Alone:
    """A delivery without a fleet."""

    incident = ""

    def heard(self, row: Row, number: str, transition: str) -> None:
        """Do nothing."""

    def moved(self, transition: str) -> None:
        """Do nothing."""

    def stand_aside(self) -> None:
        """Do nothing."""
