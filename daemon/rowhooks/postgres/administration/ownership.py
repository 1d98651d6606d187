"""Ownership: tables whose owner has changed, and roles that more than one database has."""

from __future__ import annotations

from rowhooks.postgres.administration.grants import Found
from rowhooks.postgres.administration.questions import Steps, ask
from rowhooks.postgres.maintenance import LENT_TO_ANOTHER
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, {"is_lent_to_another": LENT_TO_ANOTHER})


def members_of_the_owner() -> Steps[list[Found]]:
    """Return the roles that may act as the schema's owner without being a superuser, and where else that counts."""
    found: list[Found] = []
    for owner, member, revoking, elsewhere in (yield from ask(SQL["members_of_the_owner"])):
        take_back = ["psql", "-c", revoking]
        what = f"{member}, no superuser, may act as {owner} and so read and replace what rowhooks has in this database"
        if elsewhere is None:
            way_out = "as it must to track and upgrade; where it is not to, let an administrator run: "
            found.append(("note", what, way_out, take_back))
        else:
            found.append((
                "problem", f"{what}, and in {elsewhere} too", "let an administrator run: ", take_back,
                f" (to upgrade: grant {owner} to {member}, and take it back), or install with roles of its own",
            ))  # fmt: skip
    return found


def shared_roles() -> Steps[list[Found]]:
    """Return the roles whose logins may read and write what rowhooks has in other databases of the cluster too."""
    return [
        (
            "note",
            f"{logins} may connect to {databases} too, where {roles} may do what it may here",
            "where they are not to: roles of its own for each database (rowhooks init --daemon-role ... --receiver-role"
            " ...), or take CONNECT on the others from these logins",
        )
        for roles, logins, databases in (yield from ask(SQL["shared_roles"]))
    ]


def former_owners() -> Steps[list[Found]]:
    """Return the tables whose change of owner has not been followed."""
    return [("problem", what, *way_out) for what, *way_out in (yield from ask(SQL["former_owners"]))]
