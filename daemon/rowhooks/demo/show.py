"""`rowhooks demo`: sets the stage, plays the story, and clears everything away whatever happens."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from rich.console import Console

from rowhooks.demo.background import quiet
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
    with own_environment(), _stoppable() as shield:
        try:
            _play(keep, page, shield)
        except Stopped as stopped:
            page.say(f"{stopped}: the server is stopped, its directory removed")
            return 128 + stopped.number
    if page.false_claims:
        page.say(f"{len(page.false_claims)} of the claims above did not hold.")
        return 1
    return 0


def _play(keep: bool, page: Page, shield: Callable[[], None]) -> None:
    stage = Stage()
    try:
        with quiet(stage.warnings):
            story = Story(stage, page)
            story.tell()
            if keep:
                _stay(stage, page)
            else:
                _go_on(page)
    finally:
        shield()
        stage.close()
    page.say("The server is stopped, and its directory removed.")


def _stay(stage: Stage, page: Page) -> None:
    psql = "psql" if shutil.which("psql") else str(stage.server.binaries / "psql")
    page.step("Your turn", "The server and the daemon stay up until Ctrl-C: change something, and see what runs.")
    page.say("As the application, which may write the inventory and nothing of rowhooks':")
    page.commands(shell.command(psql, stage.dsn(APPLICATION_LOGIN)))
    page.say("As the administrator, who sees the log and the results:")
    page.commands(shell.command(psql, stage.dsn()), shell.command("rowhooks", "results", "list", "--dsn", stage.dsn()))
    page.say("")
    page.say("Some things to try:")
    for sql in (
        "update dcim.device set serial = 'none' where name = 'fra1-acc10' returning serial;",
        "select serial from dcim.device where name = 'fra1-acc10';",
        "begin; delete from dcim.device; rollback;",
        "select set_config('rowhooks.user', 'you', false); delete from dcim.device where name like 'gru3-%';",
        "select name, device_count from dcim.site order by name;",
        "select line from dcim.audit_line order by id desc limit 5;",
        "-- as the administrator",
        "select id, action, object_repr, db_user, user_name from rowhooks.changes order by id desc limit 5;",
        "select status, hook_name, object_repr, finished_at from rowhooks.results order by created_at desc limit 5;",
    ):
        page.sql(sql)
    page.say("")
    page.say("Ctrl-C ends it.")
    with contextlib.suppress(Stopped):
        stage.daemon.ended.wait()
        page.claim("the daemon runs", stage.daemon.error is None)


def _go_on(page: Page) -> None:
    page.step("Where to go next", "The same on your own database: it needs no extension and no restart.")
    page.commands(
        "rowhooks demo --keep                  # this, and it stays up for you to play with",
        "rowhooks init --dsn postgresql://...  # our schema, in one transaction",
        "rowhooks track 'public.*'             # triggers on your tables",
        "rowhooks run                          # the daemon, with the receivers of rowhooks.toml",
    )
    page.say("The three receivers are in rowhooks/demo/receivers.py.")


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Raise Stopped at the first SIGINT or SIGTERM; yield a function that shields the clearing away from them."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def shield() -> None:
        # Ignored, not held: the programs that stop the server inherit it, and Ctrl-C goes to them too.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def stop(number: int, _: FrameType | None) -> None:
        shield()
        raise Stopped(number)

    former = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield shield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
