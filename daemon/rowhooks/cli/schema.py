"""rowhooks init, upgrade and uninstall."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, Yes, settings, target
from rowhooks.domain.times import span
from rowhooks.postgres.administration.roles import ROLE_KINDS, written
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.administration.schema import uninstall as uninstall_schema
from rowhooks.postgres.administration.schema import upgrade as upgrade_schema
from rowhooks.settings import Settings

Notify = Annotated[
    bool | None,
    typer.Option(
        "--notify/--no-notify",
        help="Wake the daemon with NOTIFY (the default); or let it poll, as two-phase commit needs.",
    ),
]
Wait = Annotated[
    str,
    typer.Option("--wait", help="How long to wait for a lock (3s, 1m ...) before the command names its holder."),
]


def init(
    dsn: Dsn = None,
    config: Config = None,
    owner_role: Annotated[str | None, typer.Option(help="The role that owns schema rowhooks.")] = None,
    daemon_role: Annotated[str | None, typer.Option(help="The role of which the daemon's login is a member.")] = None,
    capture_role: Annotated[str | None, typer.Option(help="The role that owns the capture functions.")] = None,
    receiver_role: Annotated[
        str | None, typer.Option(help="The role of which a separate login for receivers is a member.")
    ] = None,
    viewer_role: Annotated[str | None, typer.Option(help="The role whose members see changes and runs.")] = None,
    operator_role: Annotated[
        str | None, typer.Option(help="The role whose members retry, revoke, replay, enable and disable.")
    ] = None,
    admin_role: Annotated[str | None, typer.Option(help="The role whose members change hooks and buttons.")] = None,
    console_role: Annotated[str | None, typer.Option(help="The role of which the console's login is a member.")] = None,
    notify: Notify = None,
    wait: Wait = "3s",
) -> None:
    """Install schema rowhooks in the database, or upgrade it; your tables are not changed."""
    chosen = settings(
        dsn, config, owner_role=owner_role, daemon_role=daemon_role, capture_role=capture_role,
        receiver_role=receiver_role, viewer_role=viewer_role, operator_role=operator_role, admin_role=admin_role,
        console_role=console_role,
    )  # fmt: skip
    installed = install(target(dsn, config), named_roles(chosen), notify=notify, wait=span(wait))
    done = "installed" if installed.created else "is up to date"
    typer.echo(f"Schema rowhooks {done} (revision {installed.revision}).")
    if installed.created:
        role, viewer, operator = (
            installed.daemon_role,
            written(installed.roles.viewer),
            written(installed.roles.operator),
        )
        typer.echo(
            "Next:\n"
            f"  create role rowhooks login in role {role};                  -- the daemon's login\n"
            "  \\password rowhooks\n"
            f"  grant select, update on <table> to {role};                  -- what receivers may do\n"
            "  rowhooks track <schema.table>\n"
            f"  grant {viewer} to <person>;        -- who may see what happens; {operator} also retries and replays"
        )


def upgrade(
    dsn: Dsn = None,
    config: Config = None,
    notify: Notify = None,
    wait: Wait = "3s",
    trust_schema: Annotated[
        bool,
        typer.Option(
            "--trust-schema",
            help="As a superuser: accept a schema rowhooks that no superuser has installed. Its code runs with your"
            " privileges.",
        ),
    ] = False,
) -> None:
    """Upgrade schema rowhooks to this release."""
    chosen = settings(dsn, config)
    installed = upgrade_schema(
        target(dsn, config), named_roles(chosen), notify=notify, wait=span(wait), trusting=trust_schema
    )
    typer.echo(f"Schema rowhooks is at revision {installed.revision}.")


def named_roles(chosen: Settings) -> dict[str, str]:
    """Return the roles in the settings, by kind."""
    named = {kind: getattr(chosen, f"{kind}_role") for kind in ROLE_KINDS}
    return {kind: role for kind, role in named.items() if role is not None}


def uninstall(
    dsn: Dsn = None,
    config: Config = None,
    yes: Yes = False,
    cascade: Annotated[
        bool,
        typer.Option(
            "--cascade", help="Also remove views, columns and other objects of yours that depend on rowhooks."
        ),
    ] = False,
    wait: Wait = "3s",
) -> None:
    """Remove every trigger, function, table and role of rowhooks; your rows are not changed."""
    where = target(dsn, config)
    patience = span(wait)
    if not yes:
        typer.confirm(f"Remove rowhooks, its history and its results from {where.label}?", abort=True)
    kept = uninstall_schema(where, cascade=cascade, wait=patience)
    typer.echo("rowhooks is removed.")
    for role in kept:
        typer.echo(f"Role {role.role} stays: {role.reason}.")
        if role.way_out:
            typer.echo(f"  {role.way_out}")
