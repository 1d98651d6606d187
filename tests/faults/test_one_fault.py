"""One fault at a time, at its worst moment, with real processes."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rowhooks.postgres.administration.status import status
from tests.support.chaos import LEADER_TIMEOUT, Stage, staged, taken_connections
from tests.support.processes import Process
from tests.support.proxy import BEGINNING, MOMENTS, PARTIES
from tests.support.waiting import is_settled, wait


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def started(stage: Stage) -> Process:
    process = stage.start()
    process.wait_for("ready: ")
    return process


def write(stage: Stage, count: int = 20) -> None:
    with stage.connect() as conn:
        for number in range(count):
            conn.execute(
                "insert into thing values (%(id)s, 1) on conflict (id) do update set value = thing.value + 1",
                {"id": number % 5},
            )


def write_together(stage: Stage, count: int = 20) -> None:
    """Write rows in transactions of several, so that runs of different rows wait together."""
    with stage.connect() as conn:
        for _ in range(count // 5):
            conn.execute(
                "insert into thing select n, 1 from generate_series(0, 4) as n"
                " on conflict (id) do update set value = thing.value + 1"
            )


def write_at_once(stage: Stage, count: int = 20) -> None:
    """Write rows by one statement, so that the recorder has many results at once."""
    with stage.connect() as conn:
        conn.execute(
            "insert into thing select n, 1 from generate_series(1, %s) as n"
            " on conflict (id) do update set value = thing.value + 1",
            (count,),
        )


def is_done(stage: Stage) -> bool:
    with stage.connect() as conn:
        return is_settled(conn)


def told(stage: Stage, what: str) -> Any:
    """Return what `rowhooks status` says."""
    with stage.connect() as conn:
        return status(conn)[what]


def name(process: Process) -> str:
    return f"{socket.gethostname()}:{process.pid}"


def test_a_connection_cut_at_any_moment_of_recording_loses_nothing_and_repeats_nothing(stage: Stage) -> None:
    started(stage)
    for party in PARTIES:
        for moment in MOMENTS:
            trap = stage.proxy.set_trap(party, moment)
            writes = write_together if party == PARTIES[2] else write
            # A few results and the position are one statement, which has no COMMIT behind it.
            (write_at_once if (party, moment) == (PARTIES[1], MOMENTS[1]) else writes)(stage)
            wait(trap.sprung.is_set)
            wait(lambda: is_done(stage))
    assert stage.settle().changes == 20 * len(PARTIES) * len(MOMENTS)


def test_a_connection_cut_where_a_run_begins_its_transaction_costs_the_run_nothing(stage: Stage) -> None:
    started(stage)
    for _ in range(3):
        trap = stage.proxy.set_trap(PARTIES[0], BEGINNING)
        write(stage)
        wait(trap.sprung.is_set)
        wait(lambda: is_done(stage))
    assert stage.settle().changes == 60


def test_a_leader_that_was_stopped_is_deposed_and_wakes_up_as_a_standby(stage: Stage) -> None:
    leader = started(stage)
    standby = stage.start()
    standby.wait_for("standing by")
    write(stage, 100)
    # In the middle of its runs: some go on, some wait, some have written and not committed.
    wait(lambda: (stage.directory / "outside").stat().st_size > 500)
    leader.send(signal.SIGSTOP)
    standby.wait_for(f"has been silent for {LEADER_TIMEOUT} s; its connections were ended")
    standby.wait_for("ready: ")
    write(stage, 20)
    wait(lambda: is_done(stage))
    leader.send(signal.SIGCONT)
    leader.wait_for("standing by")
    write(stage, 20)
    assert stage.settle().changes == 140


def test_whoever_is_killed_another_goes_on_where_it_was(stage: Stage) -> None:
    leader = started(stage)
    for _ in range(3):
        standby = stage.start()
        standby.wait_for("standing by")
        wait(lambda standby=standby: told(stage, "standbys") == [name(standby)])
        write(stage, 30)
        leader.kill()
        stage.leave(leader)
        standby.wait_for("ready: ")
        assert (told(stage, "leader"), told(stage, "standbys")) == (name(standby), [])
        leader = standby
    assert stage.settle().changes == 90


def test_runs_wait_while_the_server_has_no_connection_left(stage: Stage) -> None:
    process = started(stage)
    with taken_connections(stage.dsn):
        write(stage)
        wait(lambda: process.says("remaining connection slots are reserved") or process.says("too many clients"))
    assert stage.settle().changes == 20


def test_a_daemon_that_is_still_waiting_for_the_server_ends_when_it_is_told_to(stage: Stage) -> None:
    with psycopg.connect(stage.dsn) as blocker, stage.connect() as conn:
        blocker.execute("lock table rowhooks.feed")
        process = stage.start()
        wait(
            lambda: conn.execute(
                "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%rowhooks.feed%'"
            ).fetchone()
        )
        process.send(signal.SIGTERM)
        assert process.ends() == 0
    stage.leave(process)
