"""`rowhooks demo`: sets the stage, plays the story, and clears everything away whatever happens."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
from collections.abc import Iterator
from types import FrameType

from rich.console import Console

from rowhooks.demo.page import Page
from rowhooks.demo.stage import APPLICATION_LOGIN, Stage, own_environment
from rowhooks.demo.story import Story
from rowhooks.domain import shell

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{signal.Signals(number).name} received")
        self.number = number


def run_demo(*, keep: bool, console: Console) -> int:
    """Show the main job on an embedded PostgreSQL, and leave nothing behind.

    Args:
        keep: stay up at the end, until SIGINT or SIGTERM.
        console: where to write.

    Returns:
        0: everything was as it should be; 1: something was not; 128 + n: signal n ended it before its end.

    Raises:
        EmbeddedServerError: the server cannot be had or started.
        RowhooksError: the daemon did not start, or stopped working.
    """
    page = Page(console)
    try:
        with own_environment(), _receivers_log_hidden(), _stage() as stage:
            Story(stage, page).tell()
            if keep:
                _stay(stage, page)
            else:
                page.step("Where to go next", "The same on your own database: it needs no extension and no restart.")
                page.commands("rowhooks demo --keep", "rowhooks init --dsn postgresql://...", "rowhooks run")
    except Stopped as stopped:
        page.say(f"{stopped}: the server is stopped, its directory removed")
        return 128 + stopped.number
    page.say("The server is stopped, and its directory removed.")
    if page.false_claims:
        page.say(f"{len(page.false_claims)} of the claims above did not hold.")
    return int(bool(page.false_claims))


def _stay(stage: Stage, page: Page) -> None:
    psql = "psql" if shutil.which("psql") else str(stage.server.binaries / "psql")
    page.step("Your turn", "The server and the daemon stay up until Ctrl-C: change something, and see what runs.")
    page.say("As the application, which may write the inventory and nothing of rowhooks':")
    page.commands(shell.command(psql, stage.dsn(APPLICATION_LOGIN)))
    page.commands(
        "update dcim.device set serial = 'none' where name = 'fra1-acc10' returning serial;",
        "select serial from dcim.device where name = 'fra1-acc10';",
        "select line from dcim.audit_line order by id desc limit 5;",
        prompt="",
    )
    page.say("As the administrator, who sees the log and the results:")
    page.commands(shell.command(psql, stage.dsn()), shell.command("rowhooks", "results", "list", "--dsn", stage.dsn()))
    page.say("Ctrl-C ends it.")
    with contextlib.suppress(Stopped):
        stage.daemon.join()
        page.claim("the daemon runs", stage.daemon.error is None)


@contextlib.contextmanager
def _receivers_log_hidden() -> Iterator[None]:
    """Keep what receivers log off the screen: the page shows it from the database. The daemon's warnings are seen."""
    logger = logging.getLogger("rowhooks.jobs")
    propagate, logger.propagate = logger.propagate, False
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


@contextlib.contextmanager
def _stage() -> Iterator[Stage]:
    """Yield the stage; raise Stopped at the first SIGINT or SIGTERM; clear away undisturbed by another."""

    def ignore() -> None:
        # Not held: the programs that stop the server inherit it, and Ctrl-C goes to them too.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def stop(number: int, _: FrameType | None) -> None:
        ignore()
        raise Stopped(number)

    former = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        stage = Stage()
        try:
            yield stage
        finally:
            ignore()
            stage.close()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
