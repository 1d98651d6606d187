"""What a restored dump leaves beside an installation: triggers of another one."""

from __future__ import annotations

from collections import defaultdict

from rowhooks.postgres.administration import leftovers
from rowhooks.postgres.administration.grants import Found
from rowhooks.postgres.administration.questions import Steps, ask
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, leftovers.SQL)


def stray_triggers() -> Steps[list[Found]]:
    """Return the tables that carry triggers of another installation, with the statements that take them away."""
    statements: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for table, statement, is_tracked in (yield from ask(SQL["stray_triggers"])):
        statements[table, is_tracked].append(statement)
    return [
        (
            "problem",
            f"{table} carries triggers of another installation of rowhooks, as a dump without its schema has them:"
            " they record nothing",
            ["psql", "-c", "; ".join(dropping)],
            None if is_tracked else "; then, if it is to be tracked: ",
            None if is_tracked else ["rowhooks", "track", table],
        )
        for (table, is_tracked), dropping in statements.items()
    ]
