"""Who may do what: the seam between a receiver's `self.user` and where the answers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class PermissionBackend:
    """Answers for `self.user`; subclassed by people whose users are not PostgreSQL roles.

    The setting `permission_backend` names the subclass, which is constructed without arguments, once. Its methods are
    plain ones, also for `async def` receivers, and may be called from several threads at once. `session` is always a
    synchronous SQLAlchemy `Session`: for the last three that of the receiver's own run, with the daemon's rights.
    """

    def resolve(self, session: Any, pairs: Sequence[tuple[str | None, str]]) -> list[str]:
        """Return the user's name for each author of a change or press; called for many of them at once.

        The application's word is taken for it here; what may be claimed is the subclass's to check.

        Args:
            session: a session of the daemon's.
            pairs: whom the application named with rowhooks.user (None: nobody), and the database's login.
        """
        return [claimed or db_user for claimed, db_user in pairs]

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return what `resolve` would for one author, where no session is needed to find out; None to be asked.

        A subclass that overrides `resolve` may override this too, to spare changes a query.
        """
        return claimed or db_user if type(self).resolve is PermissionBackend.resolve else None

    def has_perm(self, session: Any, username: str, permission: str, obj: Any = None) -> bool:
        """Say whether a user has a permission.

        Args:
            session: the run's session.
            username: as `resolve` returned it.
            permission: as the receiver wrote it, for example `dcim.view_device`.
            obj: the row it is asked for; None asks for all of them.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define has_perm")

    def is_superuser(self, session: Any, username: str) -> bool:
        """Say whether a user may do everything; nobody may, unless the subclass says otherwise."""
        return False

    def groups(self, session: Any, username: str) -> list[str]:
        """Return the names of the groups a user is in; none, unless the subclass says otherwise."""
        return []
