"""People: who asks, by the proxy's word, by a session, or by the token that the command printed."""

import dataclasses
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from worker.console.access.roles import RIGHTS, Right, Role
from worker.console.access.sessions import Session, Sessions
from worker.console.access.users import User, Users

SECRET_HEADER: Final = "x-voicecode-secret"  # noqa: S105 - a name
USER_HEADER: Final = "x-voicecode-user"
ROLE_HEADER: Final = "x-voicecode-role"
_LONGEST_NAME: Final = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was recognised."""

    name: str
    """As the audit trail has it."""
    role: Role
    how: str
    """`password`, `token` or `proxy`."""

    def may(self, right: Right) -> bool:
        """Tell whether the role has the right."""
        return right in RIGHTS[self.role]


class People:
    """`token`: that the command printed, with `owner` for its name; None: no token opens it.

    `proxy_secret`: what a reverse proxy proves itself by; None: no header counts.
    """

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        *,
        token: str | None,
        owner: str,
        proxy_secret: str | None,
    ) -> None:
        self.users = users
        self.sessions = sessions
        self._token = token
        self._owner = owner
        self._secret = proxy_secret
        self._stamp = hashlib.sha256((token or "").encode()).hexdigest()[:16]

    def find(self, headers: Mapping[str, str], cookie: str) -> Person | None:
        """Return who asks; None for a stranger. The role is the one that the user has now."""
        if self._secret and (given := headers.get(SECRET_HEADER)):
            return self._of_proxy(given, headers)
        session = self.sessions.find(cookie) if cookie else None
        if session is None:
            return None
        if session.how == "token":
            whole = self._token is not None and session.stamp == self._stamp
            return Person(name=self._owner, role=Role.ADMIN, how="token") if whole else None
        user = self.users.get(session.name)
        if user is None or user.stamp != session.stamp:
            return None
        return Person(name=user.name, role=user.role, how="password")

    def by_token(self, given: str) -> str | None:
        """Return the token of a new session if `given` is what the command printed."""
        if self._token is None or not _same(given, self._token):
            return None
        return self.sessions.begin(Session(name=self._owner, how="token", stamp=self._stamp))

    def by_password(self, name: str, password: str) -> tuple[User, str] | None:
        """Return the user and the token of a new session, or None."""
        user = self.users.check(name, password)
        if user is None:
            return None
        return user, self.sessions.begin(Session(name=user.name, how="password", stamp=user.stamp))

    @property
    def opens_by_token(self) -> bool:
        """Whether the command printed a token."""
        return self._token is not None

    def _of_proxy(self, given: str, headers: Mapping[str, str]) -> Person | None:
        name, role = headers.get(USER_HEADER, ""), headers.get(ROLE_HEADER, Role.VIEWER.value)
        known = {member.value: member for member in Role}
        if not _same(given, self._secret or "") or not 0 < len(name) <= _LONGEST_NAME or role not in known:
            return None
        return Person(name=name, role=known[role], how="proxy")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
