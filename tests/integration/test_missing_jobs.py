"""A job that the daemon which leads does not have: nothing is disabled, and what it is to run waits."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver, ObjectChange, cli
from rowhooks.runtime.daemon import Daemon
from rowhooks.settings import load_settings
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]


class Noted(JobHookReceiver):
    """Notes what it was started for, in which order."""

    seen: ClassVar[list[str]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(f"{change.changed_object_id['id']} {(change.object_data or {})['serial']}")


class Slow(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        Noted.seen.append(f"begin {(change.object_data or {})['serial']}")
        for _ in range(50):
            await asyncio.sleep(0)
        Noted.seen.append(f"end {(change.object_data or {})['serial']}")


class Other(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None: ...


class Reboot(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        return f"rebooted {obj.name}"


@pytest.fixture(autouse=True)
def _nothing_seen_yet() -> None:
    Noted.seen.clear()


def write(db: Connection, serial: str, number: int = 1) -> None:
    db.execute(
        "insert into dcim.device values (%s, 'sw', %s) on conflict (id) do update set serial = excluded.serial",
        (number, serial),
    )


def statuses(db: Connection) -> list[str]:
    return [row[0] for row in db.execute("select status from rowhooks.job_result order by id").fetchall()]


async def led_without(db: Connection, dsn: str, *serials: str, **given: Any) -> None:
    """Let a daemon lead that does not have the job, while these are written."""
    async with running_daemon(dsn, Other, **given):
        for serial in serials:
            write(db, serial)
        await eventually(lambda: is_read(db))


async def test_changes_of_a_job_that_the_leader_does_not_have_wait_and_run_in_order_before_newer_ones(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Noted, device)
    await led_without(db, daemon_dsn, "a", "b", "c")
    assert db.execute("select enabled from rowhooks.job_hook").fetchall() == [(True,)]
    assert db.execute("select enabled, installed from rowhooks.job where name = 'Noted'").fetchone() == (True, False)
    assert statuses(db) == ["PENDING"] * 3
    # Another leader without it changes nothing.
    await led_without(db, daemon_dsn, "d")
    write(db, "e")
    async with running_daemon(daemon_dsn, Noted, Other):
        write(db, "f")
        await settled(db)
    assert Noted.seen == [f"1 {serial}" for serial in "abcdef"]
    assert statuses(db) == ["SUCCESS"] * 6


@pytest.mark.parametrize("status", ["STARTED", "PENDING", "RETRY"])
async def test_what_a_former_leader_has_left_of_a_missing_job_waits_too_and_has_not_failed(
    db: Connection, daemon_dsn: str, device: str, status: str
) -> None:
    add_hook(db, Noted, device)
    await led_without(db, daemon_dsn, "a")
    db.execute(
        "update rowhooks.job_result set leader_epoch = gen_random_uuid(), status = %s, retry_at = now() where true",
        (status,),
    )
    await led_without(db, daemon_dsn, "b")
    # Nothing runs it now.
    assert statuses(db) == ["PENDING" if status == "STARTED" else status, "PENDING"]
    async with running_daemon(daemon_dsn, Noted):
        await settled(db)
    assert Noted.seen == ["1 a", "1 b"]
    found = db.execute("select status, attempt from rowhooks.job_result order by id").fetchall()
    assert found == [("SUCCESS", 1 if status == "PENDING" else 2), ("SUCCESS", 1)]


async def test_what_waits_keeps_its_order_where_the_key_of_its_row_changes(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Slow, device, actions="create")
    async with running_daemon(daemon_dsn, Other):
        write(db, "a", 1)
        # It starts no run itself.
        db.execute("update dcim.device set id = 2")
        db.execute("delete from dcim.device")
        write(db, "b", 2)
        await eventually(lambda: is_read(db))
    async with running_daemon(daemon_dsn, Slow):
        await settled(db)
    assert Noted.seen == ["begin a", "end a", "begin b", "end b"]


async def test_what_waits_keeps_its_order_also_where_the_change_of_the_key_was_not_kept(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Slow, device, actions="create,update")
    async with running_daemon(daemon_dsn, Other, waiting_limit=1):
        write(db, "a", 1)
        db.execute("update dcim.device set id = 2")
        await eventually(lambda: is_read(db))
    async with running_daemon(daemon_dsn, Other, waiting_limit=2):
        db.execute("delete from dcim.device")
        write(db, "b", 2)
        await eventually(lambda: is_read(db))
    assert statuses(db) == ["PENDING"] * 2
    async with running_daemon(daemon_dsn, Slow):
        await settled(db)
    assert Noted.seen == ["begin a", "end a", "begin b", "end b"]


async def test_a_press_of_a_button_whose_job_is_missing_waits_and_the_presser_is_told(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    write(db, "a")
    add_button(db, Reboot, device, roles=["public"])
    # One was pressed before anybody could know.
    db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")
    told: list[str | None] = []
    db.add_notice_handler(lambda notice: told.append(notice.message_primary))
    async with running_daemon(daemon_dsn, Other):
        db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")
        await eventually(lambda: is_read(db))
    assert told == [f"the press of button Reboot waits: the daemon that leads does not have its job {__name__}.Reboot"]
    assert statuses(db) == ["PENDING"] * 2
    async with running_daemon(daemon_dsn, Reboot):
        await settled(db)
    assert db.execute("select result from rowhooks.job_result").fetchall() == [("rebooted sw",)] * 2


async def test_beyond_the_limit_changes_are_counted_named_once_and_made_up_for_by_a_replay(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Noted, device)
    add_button(db, Reboot, device, roles=["public"])
    await led_without(db, daemon_dsn, "a", "b", "c", "d", waiting_limit=2)
    assert statuses(db) == ["PENDING"] * 2
    missed = db.execute(
        "select m.changes, m.first_at = min(c.time), m.last_at = max(c.time) from rowhooks.job_hook_missed as m"
        " cross join rowhooks.object_change as c where c.id not in (select object_change_id from rowhooks.job_result)"
        " group by m.job_hook_id"
    ).fetchall()
    assert missed == [(2, True, True)]
    said = [
        record.getMessage() for record in caplog.records if "as many as waiting_limit allows" in record.getMessage()
    ]
    assert len(said) == 1
    assert "rowhooks replay --since " in said[0]
    # The next leader counts on.
    await led_without(db, daemon_dsn, "e", waiting_limit=2)
    assert db.execute("select changes from rowhooks.job_hook_missed").fetchall() == [(3,)]
    # Somebody makes room.
    db.execute("select rowhooks.revoke(id) from rowhooks.job_result where status = 'PENDING'")
    await led_without(db, daemon_dsn, "f", waiting_limit=2)
    assert db.execute("select changes from rowhooks.job_hook_missed").fetchall() == [(3,)]
    async with running_daemon(daemon_dsn, Noted):
        await settled(db)
    assert Noted.seen == ["1 f"]


async def test_presses_beyond_the_limit_are_refused(db: Connection, daemon_dsn: str, device: str) -> None:
    write(db, "a")
    add_button(db, Reboot, device, roles=["public"])
    async with running_daemon(daemon_dsn, Other, waiting_limit=1):
        db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="as many presses as may wait for it"):
            db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")


async def test_a_hook_that_is_given_to_another_job_while_the_daemon_leads_runs_what_waited_first(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Noted, device)
    db.execute("update rowhooks.job set class_path = 'gone.Noted', installed = false where name = 'Noted'")
    async with running_daemon(daemon_dsn, Noted):
        for serial in "abc":
            write(db, serial)
        await eventually(lambda: is_read(db))
        with db.transaction():
            db.execute("update rowhooks.job set enabled = true")
            db.execute(
                "update rowhooks.job_hook set job_id = (select id from rowhooks.job where class_path <> 'gone.Noted')"
            )
            write(db, "d")
        await settled(db)
    # The change of the very transaction that enables a job may be left out.
    assert Noted.seen[:3] == ["1 a", "1 b", "1 c"]


class Declared(JobHookReceiver):
    class Meta:
        hooks: ClassVar = [Hook("dcim.device", name="Declared")]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None: ...


async def test_the_declared_hooks_of_a_missing_class_stay_as_they_are(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    async with running_daemon(daemon_dsn, Declared):
        db.execute("update rowhooks.job set enabled = true")
    await led_without(db, daemon_dsn, "a")
    assert db.execute("select name, enabled, declared from rowhooks.job_hook").fetchall() == [("Declared", True, True)]
    assert statuses(db) == ["PENDING"]


async def test_a_waiting_hook_is_warned_about_once(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Noted, device)
    await led_without(db, daemon_dsn, "a", "b")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [
        f"hook Noted waits: this daemon does not have its job {__name__}.Noted; what it is to run is kept (start a"
        f" daemon with its module; or, if it is gone for good: rowhooks jobs remove {__name__}.Noted)"
    ]


# What people see of it, and do about it


Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command, sees that it exits so, and returns what it printed."""
    # Settings of the developer's own are kept out.
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        found = cli.call([*words, "--dsn", dsn])
        printed = capsys.readouterr()
        assert found == code, printed
        # A daemon of this process may log meanwhile.
        return printed.out if "--json" in words else printed.out + printed.err

    return run


def findings(run: Run) -> list[str]:
    return [finding["what"] for finding in json.loads(run("doctor", "--json", code=1))]


async def test_status_and_doctor_say_what_waits_and_name_what_was_not_kept_until_it_was_replayed(
    db: Connection, run: Run, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Noted, device)
    await led_without(db, daemon_dsn, "a", "b", "c", waiting_limit=2)
    path = f"{__name__}.Noted"
    status = json.loads(run("status", "--json"))
    assert status["missing_jobs"] == [{"job": path, "hooks": ["Noted"], "buttons": [], "waiting": 2, "missed": 1}]
    assert status["waiting_limit"] == 2
    assert f"{path}: 2 of 2 runs wait, 1 changes were not kept" in run("status")
    waits, missed = findings(run)
    assert waits == (
        f"the present or last leader does not have job {path} (waiting for it: hook Noted): 2 runs are"
        " kept, of 2 at the most"
    )
    assert missed.startswith("hook Noted: 1 changes between ")
    async with running_daemon(daemon_dsn, Noted):
        await settled(db)
        (missed,) = json.loads(run("doctor", "--json", code=1))
        # The command that it names.
        words = shlex.split(missed["way_out"])
        assert words[:2] == ["rowhooks", "replay"]
        run(*words[1:], "--yes")
        await settled(db)
        assert run("doctor", "--json") == "[]\n"
    assert Noted.seen == ["1 a", "1 b", "1 c"]


async def test_a_standby_with_other_receivers_is_named_with_what_differs(
    db: Connection, run: Run, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running_daemon(daemon_dsn, Noted, Other):
        standby = Daemon(load_settings(dsn=daemon_dsn), [Other, Reboot])
        task = asyncio.create_task(standby.run())
        status = await eventually(
            lambda: (found := json.loads(run("status", "--json")))["standbys_with_other_receivers"] and found
        )
        name = f"{socket.gethostname()[:40]}:{os.getpid()}"
        assert status["standbys"] == [name]
        assert status["standbys_with_other_receivers"] == [
            {"standby": name, "lacks": [f"{__name__}.Noted"], "has": [f"{__name__}.Reboot"]}
        ]
        assert f"{name} lacks {__name__}.Noted has besides {__name__}.Reboot" in run("status")
        assert findings(run) == [
            f"standby {name} does not have {__name__}.Noted, and has {__name__}.Reboot, which the leader does"
            " not have: their runs would wait if it led"
        ]
        standby.stop()
        assert await task == 0
        await eventually(lambda: not json.loads(run("status", "--json"))["standbys"])
        assert json.loads(run("status", "--json"))["standbys_with_other_receivers"] == []


async def test_a_job_that_is_gone_for_good_is_removed_by_a_person_with_what_waits_for_it(
    db: Connection, run: Run, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Noted, device)
    add_hook(db, Other, device)
    await led_without(db, daemon_dsn, "a", "b")
    done = run("jobs", "remove", "Noted", "--yes")
    assert done == f"Job {__name__}.Noted is removed, with 1 hook and 0 buttons; 2 runs revoked.\n"
    assert sorted(statuses(db)) == ["REVOKED", "REVOKED", "SUCCESS", "SUCCESS"]
    assert db.execute("select name from rowhooks.job_hook").fetchall() == [("Other",)]
    refused = run("jobs", "remove", "Other", "--yes", code=1)
    assert "is in the code of the present or last leader, which would add it again" in refused


async def test_what_waits_for_a_class_is_given_to_it_under_its_new_path_while_the_daemon_leads(
    db: Connection, run: Run, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Noted, device)
    db.execute("update rowhooks.job set class_path = 'old.Noted' where name = 'Noted'")
    async with running_daemon(daemon_dsn, Noted):
        write(db, "a")
        write(db, "b")
        await eventually(lambda: is_read(db))
        done = run("jobs", "move", "old.Noted", f"{__name__}.Noted")
        assert done == f"Job {__name__}.Noted has what waited for old.Noted; 2 runs of it, and it is enabled.\n"
        write(db, "c")
        await settled(db)
    assert Noted.seen == ["1 a", "1 b", "1 c"]
    assert db.execute("select class_path from rowhooks.job").fetchall() == [(f"{__name__}.Noted",)]
