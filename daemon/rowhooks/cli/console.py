"""rowhooks console."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, settings
from rowhooks.domain.errors import SettingsError
from rowhooks.domain.redaction import Redactor, passwords_in
from rowhooks.observability.logs import configure_logging
from rowhooks.postgres.connections.target import Target

EXTRA = {"anyio", "jinja2", "multipart", "python_multipart", "starlette", "uvicorn"}
"""Libraries of the extra `console`."""


def console(
    dsn: Dsn = None,
    config: Config = None,
    listen: Annotated[
        str | None, typer.Option(help="Where browsers connect: 127.0.0.1:8090, or unix:/path/of/a/socket.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, text, json or journal.")] = None,
) -> None:
    """Run the console: pages on which people look at rows, press buttons and watch runs.

    People log in with their PostgreSQL roles. SIGTERM and Ctrl-C stop it in good order.
    """
    try:
        from rowhooks.web.app import Console
        from rowhooks.web.server import run
        from rowhooks.web.settings import load_console_settings
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise SettingsError(
            f"the console needs more libraries ({error.name} is missing)",
            hint="install them: pip install 'rowhooks[console]'",
        ) from None
    # A DSN of the command line comes before both of the file's.
    own = load_console_settings(config, listen=listen, dsn=dsn, password=None if dsn is None else "")
    chosen = settings(dsn, config, log_level=log_level, log_format=log_format)
    secrets = [own.password, own.oidc_client_secret, chosen.password, os.environ.get("PGPASSWORD", "")]
    redactor = Redactor([*secrets, *passwords_in(own.dsn), *passwords_in(chosen.dsn)])
    configure_logging(chosen.log_level, chosen.log_format, redactor.clean)
    run(Console.open(own, Target(chosen.dsn, password=chosen.password)))
