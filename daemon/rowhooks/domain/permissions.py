"""The permission backend: where the answers to the questions of a receiver's `self.user` come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class PermissionBackend:
    """Answers for `self.user`. Subclass it if your users are not PostgreSQL roles.

    The setting `permission_backend` names the subclass. The daemon constructs it once, without arguments. The methods
    are plain methods, also for `async def` receivers, and several threads may call them at the same time. `session` is
    always a synchronous SQLAlchemy `Session`. For `has_perm`, `is_superuser` and `groups` it is the session of the
    receiver's own run.
    """

    def resolve(self, session: Any, pairs: Sequence[tuple[str | None, str]]) -> list[str]:
        """Return the names of the users who have made some changes or presses.

        The base class believes the application. A subclass may check what an application may claim.

        Args:
            session: a session of the daemon's.
            pairs: for each change or press the user that the application named with rowhooks.user, or None, and the
                login of the database.

        Returns:
            A name for each pair, in the same order.
        """
        return [claimed or db_user for claimed, db_user in pairs]

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return what `resolve` would return for one pair, if that needs no session; else None.

        A subclass that overrides `resolve` may also override this method, which saves a query.

        Args:
            claimed: as in `resolve`.
            db_user: as in `resolve`.
        """
        return claimed or db_user if type(self).resolve is PermissionBackend.resolve else None

    def has_perm(self, session: Any, username: str, permission: str, obj: Any = None) -> bool:
        """Say whether a user has a permission.

        Args:
            session: the run's session.
            username: the user's name, as `resolve` has returned it.
            permission: what the receiver has asked for, for example `dcim.view_device`.
            obj: the row that the question is about; None: it is about all rows.

        Returns:
            True or False, and nothing else.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define has_perm")

    def is_superuser(self, session: Any, username: str) -> bool:
        """Say whether a user may do everything; the base class says no."""
        return False

    def groups(self, session: Any, username: str) -> list[str]:
        """Return the names of a user's groups; the base class returns none."""
        return []
