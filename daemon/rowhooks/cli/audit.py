"""rowhooks audit."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Before, Columns, Config, Dsn, Json, Limit, Since, more_before, target
from rowhooks.cli.printing import print_rows
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.administration.audit import list_acts
from rowhooks.postgres.administration.schema import installed_connection


def audit(
    dsn: Dsn = None,
    config: Config = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this role or login did.")] = None,
    act: Annotated[str | None, typer.Option("--act", help="Only this act: retry, enable_hook ...")] = None,
    object_: Annotated[
        str | None, typer.Option("--object", help="Only what was done with this run, job, hook, button or token.")
    ] = None,
    since: Since = None,
    before: Before = None,
    limit: Limit = 20,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List who did what, the newest first: runs retried and revoked, hooks and buttons changed, tokens created."""
    with installed_connection(target(dsn, config)) as conn:
        rows = list_acts(
            conn, actor=actor, act=act, object_=object_, since=None if since is None else point_in_time(since),
            before=before, limit=limit,
        )  # fmt: skip
    print_rows(
        rows, ["id", "time", "actor", "login", "act", "object", "arguments"], as_json=as_json,
        empty="Nobody has done anything yet.", wanted=columns, first_to_go=("login", "arguments", "time"),
    )  # fmt: skip
    more_before(rows, limit, as_json=as_json)
