"""The console's own login, and the roles whose rights it lends to persons that a proxy or a provider vouches for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from psycopg.conninfo import conninfo_to_dict

from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.access import check_own_login, planters
from rowhooks.postgres.console.people import Connections, PersonConnection, connect, transaction
from rowhooks.postgres.console.pools import Pool, SharedConnections

SET_ROLE, CONNECT = "set_role", "connect"
"""The ways to a role's rights: SET LOCAL ROLE in a transaction of the console's own login, or a session of the role."""


def names_login(dsn: str) -> bool:
    """Say whether a DSN names a login of the console's own, and not only a database."""
    given = conninfo_to_dict(dsn)
    return bool(given.get("user") or given.get("service"))


class OwnLogin:
    """The console's own login.

    Args:
        target: the database, with this login.
        size: the largest number of connections that it has, and in the way `connect` that each role has.
        way: `set_role`: each transaction takes up the role by SET LOCAL ROLE. The console's login must be a member of
            the role. Code that runs in such a transaction (a function in a view, a policy) can take up any other of
            the login's roles.
            `connect`: the console logs in as the role, with its own certificate or system user, which pg_ident.conf
            maps. Nothing leads out of such a session.
    """

    def __init__(
        self, target: Target, size: int, way: str = SET_ROLE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._target, self._size, self._way, self._clock = target, size, way, clock
        self._shared = SharedConnections(self._open, size)
        self._name: str | None = None
        self._of_roles: dict[str, tuple[Pool, float]] = {}
        self._lock = threading.Lock()

    @property
    def itself(self) -> Connections:
        """Connections with the rights of the console's own login."""
        return self._shared.of(None)

    def of(self, role: str) -> Connections:
        """Return connections with a role's rights. To close them leaves them to others.

        Args:
            role: a role that the console's login may take up.
        """
        return _Lent(self, role)

    @contextlib.contextmanager
    def lend(self, role: str, *, read_only: bool) -> Iterator[Connection]:
        """Lend a connection with a role's rights for one transaction.

        Raises:
            PermissionDenied: the role is no person's, or the login may not take it up.
        """
        self._check_person(role)
        way = self._shared.lend if self._way == SET_ROLE else self.connected_as
        with way(role, read_only=read_only) as conn:
            yield conn

    def _check_person(self, role: str) -> None:
        # As the login itself, one could do for every role that it may take up what needs no more than to be allowed to
        # take it up, such as to create a token. SET ROLE none means the login itself.
        if self._name is None:
            self.check()
        if role in ("none", self._name):
            raise PermissionDenied(
                f"no person has the role {role}: that is the console's own login",
                hint="name another role under [console.roles] in rowhooks.toml",
            )

    @contextlib.contextmanager
    def connected_as(self, role: str, *, read_only: bool) -> Iterator[Connection]:
        """Lend a connection that has logged in as a role."""
        with self._lock:
            pool, _ = self._of_roles.get(role) or (Pool(self._size, lambda: connect(self._target, user=role)), 0.0)
            self._of_roles[role] = pool, self._clock()
        with pool.take(None) as conn, transaction(conn, read_only=read_only):
            yield conn

    def check(self) -> None:
        """Connect, and make sure that the login has the least that it needs. That is done before its first use, too.

        Raises:
            LoginRefused: the server does not let it in.
            ConnectionFailed: the server cannot be reached.
            PermissionDenied: it may do more than it needs.
            SchemaMismatch: rowhooks' schema is missing, or does not fit this code.
        """
        with self.itself.lend(read_only=True):
            pass

    def planters(self) -> list[str]:
        """Return the roles whose code could take up the others in the way `set_role`; none in the way `connect`.

        Raises:
            ConnectionFailed: the server cannot be reached.
        """
        if self._way != SET_ROLE:
            return []
        with self.itself.lend(read_only=True) as conn:
            return planters(conn)

    def _open(self) -> PersonConnection:
        conn = connect(self._target)
        if self._name is None:
            try:
                with transaction(conn, read_only=True):
                    name = check_own_login(conn)
            except BaseException:
                conn.close()
                raise
            self._name = name
        return conn

    def purge(self, idle: float) -> None:
        """End the connections of roles that nobody has used for some seconds; those that are lent end afterwards."""
        with self._lock:
            unused = [role for role, (_, used) in self._of_roles.items() if self._clock() - used > idle]
            ended = [self._of_roles.pop(role)[0] for role in unused]
        for pool in ended:
            pool.close()

    def close(self) -> None:
        """End all connections."""
        self._shared.close()
        self.purge(-1.0)


class _Lent:
    """Connections with the rights of one role."""

    def __init__(self, own: OwnLogin, role: str) -> None:
        self._own, self._role = own, role

    def lend(self, *, read_only: bool) -> contextlib.AbstractContextManager[Connection]:
        return self._own.lend(self._role, read_only=read_only)

    def close(self) -> None:
        pass
