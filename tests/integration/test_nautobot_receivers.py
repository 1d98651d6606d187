"""Receivers in Nautobot's style do in the daemon and in the testing kit what they would do there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from rowhooks.receivers.loading import load_receivers
from rowhooks.testing import Press, Rehearsal
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.inventory_tables import SCHEMA
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Scenario(NamedTuple):
    """What happens to one device, and what is then so.

    Args:
        device: its id.
        before: None: it is created.
        after: the columns that are set; None: it is deleted.
        query: asks what the receiver has written.
        found: the answer.
        logged: the lines of the run's log.
        status: of the run.
    """

    device: int
    after: dict[str, Any] | None
    query: str
    found: list[Any]
    logged: list[tuple[str, str]]
    status: str = "SUCCESS"
    is_new: bool = False


SCENARIOS = {
    "PrefixByLocation": Scenario(
        1, {"status": "new"}, "select name from inv.device where id = 1", ["ZUR-d1"], [("info", "renamed for Zurich")]
    ),
    "CreateInterfaces": Scenario(
        2, {"name": "d2", "location_id": 2, "role_id": 1},
        "select name from inv.interface where device_id = 2 order by 1", ["eth0", "eth1"],
        [("success", "created"), ("success", "created")], is_new=True,
    ),
    "DisableInterfaces": Scenario(
        3, {"status": "offline"}, "select enabled from inv.interface where device_id = 3", [False, False],
        [("info", "2 of d3 are disabled")],
    ),
    "UniqueSerial": Scenario(
        4, {"serial": "S5"}, "select serial from inv.device where id = 4", ["S4"], [("failure", "d5 has it too")]
    ),
    "MoveToSpares": Scenario(
        5, {"status": "spare"},
        "select location_id::text || coalesce(role_id::text, ' no role') from inv.device where id = 5", ["3 no role"],
        [],
    ),
    "KeepJournal": Scenario(
        6, {"location_id": 3}, "select message from inv.journal where device_id = 6", ["device: Room 7 -> Spares"], []
    ),
    "NoteDeletion": Scenario(
        7, None, "select message from inv.journal where device_id is null", ["d7 is gone, some left"],
        [("warning", "d7 (S7) is gone")],
    ),
    "Depth": Scenario(
        8, {"status": "new"}, "select comments from inv.device where id = 8", ["Zurich / Room 7 (Rack 1 below)"], []
    ),
    "RefuseNameless": Scenario(
        9, {"status": "new"}, "select comments from inv.device where id = 9", [None],
        [("warning", "9 has no comments"), ("critical", "cannot go on with <ObjectChange 1: update inv.device>")],
        "FAILURE",
    ),
    "Enrich": Scenario(
        10, {"status": "new"}, "select comments from inv.device where id = 10", ["switch in Room 7"],
        [("info", "enriched d10")],
    ),
}  # fmt: skip


@pytest.fixture
def receivers(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The classes of nautobot_receivers.py, by their names."""
    classes, problems = load_receivers(["nautobot_receivers.py"], Path(__file__).parent)
    assert problems == []
    assert "register_jobs leaves nautobot_receivers.Helper out" in caplog.text
    return {cls.__name__: cls for cls in classes}


def test_every_hook_receiver_has_a_scenario(receivers: dict[str, Any]) -> None:
    assert set(receivers) - set(SCENARIOS) == {"Reboot", "Provision", "Retire"}
    assert len(receivers) == 13


async def test_hook_receivers_in_the_daemon(db: Connection, daemon_dsn: str, receivers: dict[str, Any]) -> None:
    prepare(db)
    hooks = [receivers[name] for name in SCENARIOS]
    for name, scenario in SCENARIOS.items():
        hook = add_hook(db, receivers[name], "inv.device")
        condition = f'{{"attr": "id", "value": {scenario.device}}}'
        db.execute("update rowhooks.job_hook set conditions = %s::jsonb where id = %s", (condition, hook))
    async with running_daemon(daemon_dsn, *hooks):
        for scenario in SCENARIOS.values():
            if scenario.is_new:
                db.execute("insert into inv.device (id, name, location_id, role_id) values (2, 'd2', 2, 1)")
            elif scenario.after is None:
                db.execute("delete from inv.device where id = %s", (scenario.device,))
            else:
                ((column, value),) = scenario.after.items()
                db.execute(f"update inv.device set {column} = %s where id = %s", (value, scenario.device))
        await settled(db)
    results = dict(db.execute("select r.hook_name, r.status from rowhooks.results as r").fetchall())
    assert results == {name: scenario.status for name, scenario in SCENARIOS.items()}
    for name, scenario in SCENARIOS.items():
        assert [row[0] for row in db.execute(scenario.query).fetchall()] == scenario.found, name
        lines = db.execute(
            "select e.level, e.message, r.object_change_id from rowhooks.job_log_entry as e"
            " join rowhooks.results as r on r.id = e.job_result_id where r.hook_name = %s order by e.time, e.id",
            (name,),
        ).fetchall()
        assert [(level, text.replace(f"ObjectChange {id_}:", "ObjectChange 1:")) for level, text, id_ in lines] == (
            scenario.logged
        )


@pytest.fixture
def kit(empty_dsn: str) -> Any:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    with Rehearsal(empty_dsn) as rehearsal:
        yield rehearsal


def test_hook_receivers_in_the_kit(kit: Rehearsal, receivers: dict[str, Any]) -> None:
    for name, scenario in SCENARIOS.items():
        before = None if scenario.is_new else {"id": scenario.device}
        after = {"id": 2, **scenario.after} if scenario.is_new and scenario.after else scenario.after
        run = kit.run_hook(receivers[name], table="inv.device", before=before, after=after)
        assert run.status == scenario.status, run.exception
        assert [next(iter(row.values())) for row in kit.execute(scenario.query)] == scenario.found, name
        assert run.change is not None
        own = f"ObjectChange {run.change.id}:"
        assert [(line.level, line.message.replace(own, "ObjectChange 1:")) for line in run.logs] == scenario.logged


def prepare(db: Connection) -> None:
    db.execute(SCHEMA)
    db.execute("select rowhooks.track('inv.device'), rowhooks.track('inv.location')")
    db.execute("grant usage on schema inv to rowhooks_daemon")
    db.execute("grant select, insert, update, delete on all tables in schema inv to rowhooks_daemon")


async def test_button_receivers_in_the_daemon(db: Connection, daemon_dsn: str, receivers: dict[str, Any]) -> None:
    prepare(db)
    buttons = [receivers[name] for name in ("Reboot", "Provision", "Retire")]
    async with running_daemon(daemon_dsn, *buttons):
        for cls in buttons:
            add_button(db, cls, "inv.device", "inv.location", roles=["public"])
        for press in ("'Reboot', 'inv.device', '11'", "'Retire', 'inv.device', '12'", "'Retire', 'inv.location', '2'"):
            db.execute(f"select rowhooks.press({press})")
        await settled(db)
    results = db.execute(
        "select r.button_name, r.object_repr, r.status, r.exception_message from rowhooks.results as r order by 1, 2"
    ).fetchall()
    assert results == [
        ("Provision", "d11", "SUCCESS", None), ("Reboot", "d11", "SUCCESS", None),
        ("Retire", "Room 7", "SUCCESS", None), ("Retire", "d12", "SUCCESS", None),
    ]  # fmt: skip
    assert db.execute("select comments from inv.device where id = 11").fetchall() == [("base, 3 retries",)]
    assert db.execute("select status from inv.device where id = 12").fetchall() == [("retired",)]
    assert db.execute("select count(*) from inv.interface where device_id = 12").fetchall() == [(0,)]
    logged = db.execute("select e.message from rowhooks.job_log_entry as e where e.level = 'error'").fetchall()
    assert [message.splitlines()[0] for (message,) in logged] == ["Room 7 is in use"]


def test_button_receivers_in_the_kit(kit: Rehearsal, receivers: dict[str, Any]) -> None:
    run = kit.press_button(receivers["Reboot"], table="inv.device", key=11)
    assert (run.status, run.presses) == (
        "SUCCESS", (Press("Provision", "inv.device", 11, "d11", inputs={"template": "base"}),),
    )  # fmt: skip
    (press,) = run.presses
    run = kit.press_button(receivers["Provision"], table=press.table, key=press.pk, inputs=press.inputs)
    assert [write.differences["added"] for write in run.writes] == [{"comments": "base, 3 retries"}]
    run = kit.press_button(receivers["Retire"], table="inv.device", key=12)
    assert [(write.table, write.action) for write in run.writes] == [
        ("inv.device", "update"), ("inv.interface", "delete"),
    ]  # fmt: skip
    run = kit.press_button(receivers["Retire"], table="inv.location", key=2)
    assert (run.status, run.writes) == ("SUCCESS", ())
    assert [line.message.splitlines()[0] for line in run.logs] == ["Room 7 is in use"]
