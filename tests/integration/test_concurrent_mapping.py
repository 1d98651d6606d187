"""Classes are mapped and related while other threads query, assign and write with them."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from rowhooks.domain.tables import current_rows
from rowhooks.postgres.rows.tables import Tables

Connection = psycopg.Connection[Any]


class Run:
    """What a run's workspace is for its rows."""

    is_asynchronous = False
    can_wait = True

    def __init__(self, tables: Tables, session: Session) -> None:
        self._tables = tables
        self.synchronous_session = session

    def row_class(self, name: str) -> Any:
        return self._tables.classes.row_class(name, self.connect)

    def connect(self) -> Any:
        return self.synchronous_session.connection()

    def with_session(self, work: Any, call: Callable[[], str]) -> Any:
        return work(self.synchronous_session)


@pytest.fixture
def engine(dsn: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), pool_size=12)
    yield engine
    engine.dispose()


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that are switched as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _walk(run: Run) -> None:
    device = run.synchronous_session.scalars(select(run.row_class("net.device")).order_by("id")).all()[0]
    assert device.location_.parent.name == "Zurich"
    assert device.rack.label == "R7"


def _look_back(run: Run) -> None:
    interface = run.synchronous_session.scalars(select(run.row_class("net.interface")).order_by("id")).all()[0]
    assert interface.device.warranty.device.name == "sw1"
    assert [one.name for one in interface.device.interface_set.all()] == ["eth0", "eth1"]


def _query(run: Run) -> None:
    device = run.row_class("net.device")
    for _ in range(4):
        names = run.synchronous_session.scalars(select(device.name).order_by(device.id)).all()
        assert list(names) == ["sw1", "sw2"]
        assert run.synchronous_session.get_one(device, 1).name == "sw1"
        run.synchronous_session.expire_all()


def _write(run: Run) -> None:
    session, device, interface = run.synchronous_session, run.row_class("net.device"), run.row_class("net.interface")
    own = device(name="new", location_=session.scalars(select(run.row_class("net.location"))).first())
    session.add(interface(device=own, name="eth0"))
    session.flush()
    assert own.interface_set[0].device_id == own.id
    session.delete(own.interface_set[0])
    session.flush()


def _eager(run: Run) -> None:
    location = run.row_class("net.location")
    rows = run.synchronous_session.scalars(select(location).options(selectinload(location.device_set)))
    assert sorted(len(one.__dict__["device_set"]) for one in rows) == [0, 2]


def _detached(run: Run) -> None:
    session = run.synchronous_session
    device = session.get_one(run.row_class("net.device"), 1)
    session.expunge(device)
    assert device.location_.name == "Room"
    device.location_ = device.location_.parent
    assert str(device.location_id).endswith("1")


def test_ten_runs_map_and_relate_at_once(db: Connection, net: str, engine: sqlalchemy.Engine, hasty: None) -> None:
    problems: list[BaseException] = []
    works = [_walk, _look_back, _query, _write, _eager, _detached] * 2

    def work(what: Callable[[Run], None], tables: Tables, start: threading.Barrier) -> None:
        try:
            with engine.connect() as connection, connection.begin() as transaction, Session(connection) as session:
                run = Run(tables, session)
                current_rows.set(run)
                start.wait()
                what(run)
                transaction.rollback()
        except BaseException as error:
            problems.append(error)

    for _ in range(12):
        tables, start = Tables(), threading.Barrier(len(works))
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(work, what, tables, start)) for what in works
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        if problems:
            raise problems[0]
