"""The receivers' own login: it must be let in, lead to the same database, and have the receivers' role."""

from __future__ import annotations

from rowhooks.domain.errors import LoginRefused, PermissionDenied, SettingsError
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.poolers import recognised
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements

_STATEMENTS = Statements(__file__)


async def checked_receiver(target: Target, receiver_target: Target) -> Target:
    """Return the receivers' target with its route.

    Args:
        target: the daemon's own, with its route.
        receiver_target: what the setting receiver_dsn says.

    Raises:
        LoginRefused: the login is not let in.
        ConnectionFailed: the server cannot be reached.
        SettingsError: the target is another database.
        PermissionDenied: the login does not have the receivers' role.
    """
    try:
        found = await recognised(receiver_target)
    except LoginRefused as error:
        raise LoginRefused(
            f"receiver_dsn: {error.message}", hint="see that the login exists, its password, and pg_hba.conf"
        ) from error
    async with connected(target) as ours, connected(found) as theirs:
        with translated():
            if tuple(await ours.fetchrow(_STATEMENTS["place"])) != tuple(await theirs.fetchrow(_STATEMENTS["place"])):
                raise SettingsError(
                    f"receiver_dsn leads to {found.label}, which is not the database of dsn",
                    hint="both must name the same database",
                )
            role = await ours.fetchval(_STATEMENTS["receivers_role"])
            login, is_member = await theirs.fetchrow(_STATEMENTS["is_member"], role)
    if not is_member:
        raise PermissionDenied(
            f"receiver_dsn: login {login} has not the receivers' role {role}",
            hint=f'let an administrator run: grant {role} to "{login}"',
        )
    return found
