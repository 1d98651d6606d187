"""What a newcomer gets wrong: each message names the thing, what is like it, and what to do."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.imports import imports_undone

Connection = psycopg.Connection[Any]
GOOD = """
from rowhooks import Hook, JobHookReceiver, register_jobs


class Policy(JobHookReceiver):
    class Meta:
        name = "Serial policy"
        hooks = [Hook("dcim.device", actions=["create"])]

    def receive_job_hook(self, change, action, changed_object): ...


register_jobs(Policy)
"""


@pytest.fixture
def place(empty_directory: Path) -> Iterator[Path]:
    """The working directory; what is imported from it is forgotten."""
    with imports_undone(empty_directory):
        yield empty_directory


def write(place: Path, name: str, text: str) -> str:
    (place / name).write_text(textwrap.dedent(text))
    return name


@pytest.fixture
def known(db: Connection, device: str) -> None:
    """A job, a hook and a button."""
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values ('policies.SerialPolicy', 'hook',"
        " 'Serial policy', true), ('buttons.Reboot', 'button', 'Reboot', true)"
    )
    db.execute(
        "with h as (insert into rowhooks.job_hook (name, job_id, type_update) select 'serials', id, true"
        " from rowhooks.job where kind = 'hook' returning id)"
        " insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) select id, 1 from h"
    )
    db.execute(
        "with b as (insert into rowhooks.job_button (name, job_id, text) select 'reboot', id, 'Reboot'"
        " from rowhooks.job where kind = 'button' returning id)"
        " insert into rowhooks.job_button_table (job_button_id, tracked_table_id) select id, 1 from b"
    )
    db.execute("insert into dcim.device values (1, 'sw', '')")


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        (["jobs", "enable", "policies.SerialPolcy"], "policies.SerialPolicy"),
        (["jobs", "show", "serialpolicy"], "policies.SerialPolicy"),
        (["jobs", "disable", "serial polcy"], "Serial policy"),
        (["hooks", "add", "h", "--job", "SerialPolcy", "--table", "dcim.device", "--on", "create"], "SerialPolicy"),
        (["hooks", "enable", "serial"], "serials"),
        (["hooks", "remove", "serails"], "serials"),
        (["hooks", "edit", "Serials", "--on", "create"], "serials"),
        (["hooks", "test", "serail", "--change", "1"], "serials"),
        (["replay", "--hook", "serail", "--since", "1h"], "serials"),
        (["results", "retry", "--failed", "--hook", "serail"], "serials"),
        (["results", "retry", "--failed", "--job", "SerialPolcy"], "SerialPolicy"),
        (["results", "list", "--job", "SerialPolcy"], "SerialPolicy"),
        (["results", "list", "--hook", "serail"], "serials"),
        (["results", "list", "--button", "rebot"], "reboot"),
        (["results", "list", "--table", "dcim.devcie"], "dcim.device"),
        (["changes", "list", "--table", "devices"], "dcim.device"),
        (["hooks", "list", "--table", "dcim.devcie"], "dcim.device"),
        (["buttons", "list", "--job", "Rebot"], "Reboot"),
        (["buttons", "enable", "rebot"], "reboot"),
        (["buttons", "remove", "rebot"], "reboot"),
        (["buttons", "press", "rebot", "dcim.device", "1"], "reboot"),
        (["press", "reboot", "dcim.devices", "1"], "dcim.device"),
        (["track", "dcim.devcie"], "dcim.device"),
        (["track", "dcim.device", "--exclude", "seral"], "serial"),
        (["track", "dcim.device", "--ignore-columns", "nmae"], "name"),
        (["hooks", "edit", "serials", "--column", "seral"], "serial"),
        (["hooks", "edit", "serials", "--add-table", "dcim.devcie"], "dcim.device"),
        (["hooks", "edit", "serials", "--on", "udpate"], "update"),
    ],
    ids=" ".join,
)
def test_a_mistyped_name_is_named_with_one_like_it(run: Rowhooks, known: None, command: list[str], meant: str) -> None:
    done = run(*command)
    assert done.code in (1, 2)
    (line,) = [line for line in done.err.splitlines() if "did you mean" in line]
    assert meant in line.partition("did you mean ")[2].partition("?")[0]


def test_a_mistyped_setting_is_named_with_one_like_it(run: Rowhooks, place: Path) -> None:
    write(place, "rowhooks.toml", 'reciever = ["a.py"]\n')
    done = run("status")
    assert done.code == 2
    assert "reciever: unknown setting; did you mean receivers?" in done.err


def test_jobs_are_registered_without_a_daemon_and_the_next_step_is_said(
    run: Rowhooks, place: Path, db: Connection, device: str
) -> None:
    refused = run("jobs", "enable", "Policy")
    assert refused.code == 1
    assert "rowhooks jobs sync" in refused.err
    write(place, "acme_policies.py", GOOD)
    write(place, "rowhooks.toml", 'receivers = ["acme_policies.py"]\n')
    done = run("jobs", "sync")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "Job acme_policies.Policy is registered; enable it: rowhooks jobs enable acme_policies.Policy\n"
    )
    assert run("jobs", "enable", "Policy").code == 0
    assert run("jobs", "sync").out == "Job acme_policies.Policy is known and enabled.\n"
    assert db.execute("select declared from rowhooks.job_hook").fetchall() == [(True,)]


def test_a_superusers_jobs_sync_needs_receivers_in_the_settings(run: Rowhooks, place: Path) -> None:
    done = run("jobs", "sync")
    assert done.code == 2
    assert "no module of receivers is named" in done.err


async def test_while_a_daemon_leads_jobs_are_not_registered_beside_it(
    run: Rowhooks, place: Path, daemon_dsn: str, device: str
) -> None:
    write(place, "acme_beside.py", GOOD)
    async with running_daemon(daemon_dsn):
        # The command has an event loop of its own.
        done = await asyncio.to_thread(run, "jobs", "sync", "--receivers", "acme_beside.py")
    assert done.code == 1
    assert "a daemon leads" in done.err
    assert "systemctl reload rowhooks" in done.err


def test_a_forgotten_registration_is_named_by_sync_and_doctor_until_it_is_written(
    run: Rowhooks, place: Path, db: Connection, device: str
) -> None:
    forgotten = GOOD.replace("register_jobs(Policy)", "")
    write(place, "acme_forgotten.py", forgotten)
    write(place, "rowhooks.toml", 'receivers = ["acme_forgotten.py"]\n')
    done = run("jobs", "sync")
    assert done.code == 1
    assert (
        "acme_forgotten.Policy is not registered\n  write at the end of its module: register_jobs(Policy)" in done.err
    )
    examined = run("doctor")
    assert examined.code == 1
    assert "problem: receiver class acme_forgotten.Policy is not registered" in examined.out
    write(place, "acme_forgotten.py", GOOD)
    assert "is not known to this database" in run("doctor").out
    assert run("jobs", "sync").code == 0
    assert "receiver class" not in run("doctor").out


def test_a_module_that_cannot_be_imported_is_named_with_the_cause_first(
    run: Rowhooks, place: Path, device: str
) -> None:
    write(
        place, "acme_chained.py",
        """
        try:
            {}["token"]
        except KeyError as error:
            raise RuntimeError("no configuration") from error
        """,
    )  # fmt: skip
    write(place, "rowhooks.toml", 'receivers = ["acme_chained.py"]\n')
    done = run("jobs", "sync")
    assert done.code == 1
    assert done.err.splitlines()[0] == (
        f"rowhooks: module acme_chained.py cannot be imported: KeyError: 'token' ({place}/acme_chained.py, line 3);"
        " because of it RuntimeError: no configuration"
    )
    assert "importlib" not in done.err
    assert "rowhooks/receivers" not in done.err
    assert "receivers' module acme_chained.py cannot be imported: KeyError" in run("doctor").out


def test_a_wrong_signature_is_told_in_three_lines(run: Rowhooks, place: Path, device: str) -> None:
    write(place, "acme_wrong.py", GOOD.replace("self, change, action, changed_object", "self, change"))
    done = run("jobs", "sync", "--receivers", "acme_wrong.py")
    assert done.code == 1
    assert done.err.splitlines() == [
        f"rowhooks: module acme_wrong.py cannot be imported: acme_wrong.Policy ({place}/acme_wrong.py, line 5) cannot"
        " be called as it is: got an unexpected keyword argument 'action'",
        f"  registered in {place}/acme_wrong.py, line 13",
        "  write: def receive_job_hook(self, change, action, changed_object): ...",
    ]


def test_two_options_for_actions_keep_both(run: Rowhooks, known: None, db: Connection) -> None:
    done = run(
        "hooks", "add", "both", "--job", "SerialPolicy", "--table", "dcim.device", "--on", "create", "--on", "delete"
    )
    assert done.code == 0
    assert db.execute(
        "select type_create, type_update, type_delete from rowhooks.job_hook where name = 'both'"
    ).fetchone() == (True, False, True)
