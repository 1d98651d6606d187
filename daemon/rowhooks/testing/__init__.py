"""Test receivers on your own database: `run_hook`, `press_button`, and pytest's fixture `rowhooks`.

See docs/testing.md.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Unpack

from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
from rowhooks.testing.arguments import GivenPermissions, HookArguments, PressArguments
from rowhooks.testing.rehearsal import Rehearsal
from rowhooks.testing.report import Attempt, LogLine, Press, RaisedException, RunReport, Write

__all__ = [
    "Attempt",
    "GivenPermissions",
    "LogLine",
    "Press",
    "RaisedException",
    "Rehearsal",
    "RunReport",
    "Write",
    "press_button",
    "run_hook",
]


def run_hook(
    receiver: type[JobHookReceiver],
    *,
    dsn: str | None = None,
    models: Collection[str] = (),
    **arguments: Unpack[HookArguments],
) -> RunReport:
    """Change a row, run a hook receiver for that change, and roll everything back.

    Args:
        receiver: the receiver class.
        dsn: the database, as a URI or libpq's keywords; None for the environment variable ROWHOOKS_TEST_DSN.
        models: modules with SQLAlchemy classes for rows, as in the setting `models`.
        arguments: as for `Rehearsal.run_hook`.

    Returns:
        What became of the run.

    Raises:
        RowhooksError: as `Rehearsal` and `Rehearsal.run_hook` raise.
    """
    with Rehearsal(dsn, models=models) as rehearsal:
        return rehearsal.run_hook(receiver, **arguments)


def press_button(
    receiver: type[JobButtonReceiver],
    *,
    dsn: str | None = None,
    models: Collection[str] = (),
    **arguments: Unpack[PressArguments],
) -> RunReport:
    """Run a button receiver for a row, and roll everything back.

    Args:
        receiver: the receiver class.
        dsn: the database, as a URI or libpq's keywords; None for the environment variable ROWHOOKS_TEST_DSN.
        models: modules with SQLAlchemy classes for rows, as in the setting `models`.
        arguments: as for `Rehearsal.press_button`.

    Returns:
        What became of the run.

    Raises:
        RowhooksError: as `Rehearsal` and `Rehearsal.press_button` raise.
    """
    with Rehearsal(dsn, models=models) as rehearsal:
        return rehearsal.press_button(receiver, **arguments)
