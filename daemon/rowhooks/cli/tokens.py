"""rowhooks tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast

import typer

from rowhooks.cli.common import Columns, Config, Dsn, Json, print_json, say, target
from rowhooks.cli.printing import print_rows
from rowhooks.domain.display import visible
from rowhooks.domain.times import span
from rowhooks.postgres.administration import tokens as administration
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.administration.tokens import Scope

app = typer.Typer(no_args_is_help=True, help="Tokens of the API: each lets its bearer act as a role.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="What its bearer may do at most: read, press, operate, admin. May be repeated."),
    ],
    expires: Annotated[str, typer.Option("--expires", help="After how long it becomes invalid: 12h, 90d.")] = "90d",
    role: Annotated[
        str | None, typer.Option("--role", help="The role as which its bearer acts; yours by default.")
    ] = None,
    dsn: Dsn = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Create a token, and print it. It is printed once: the database has its hash alone."""
    with installed_connection(target(dsn, config)) as conn:
        token, record = administration.create_token(
            conn, name, scopes=cast("list[Scope]", scope), expires_at=datetime.now(UTC) + span(expires), role=role
        )
    if as_json:
        print_json({**record, "token": token})
        return
    say(
        f"Token {record['id']} of role {visible(record['role'])} for {', '.join(record['scopes'])}, until"
        f" {record['expires_at']:%Y-%m-%d %H:%M %Z}. It is shown once:",
        err=True,
    )
    # By itself, so that a script can take it.
    typer.echo(token)


@app.command("list")
def list_(
    dsn: Dsn = None,
    config: Config = None,
    all_: Annotated[bool, typer.Option("--all", help="List those too that have expired or were revoked.")] = False,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List your tokens and those that you have created; as an admin, all."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_tokens(conn, ended=all_)
    print_rows(
        rows,
        ["id", "name", "role", "scopes", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at"],
        as_json=as_json,
        wanted=columns,
        first_to_go=("created_at", "created_by", "last_used_at", "revoked_at", "scopes"),
        empty="There is no token. Create one: rowhooks tokens create NAME --scope read",
    )


@app.command()
def revoke(
    token_id: Annotated[int, typer.Argument(metavar="ID", help="See: rowhooks tokens list.")],
    dsn: Dsn = None,
    config: Config = None,
) -> None:
    """Make a token invalid."""
    with installed_connection(target(dsn, config)) as conn:
        record = administration.revoke_token(conn, token_id)
    say(f"Token {record['id']} ({visible(record['name'])}) is revoked.")
