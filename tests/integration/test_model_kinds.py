"""Every way in which a class may be mapped: receivers get its instances, and what they assign is written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.imports import imports_undone
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

KINDS = {
    "dataclass": """
        from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
        class Base(MappedAsDataclass, DeclarativeBase):
            pass
        class Device(Base):
            __tablename__ = "device"
            __table_args__ = {"schema": "dcim"}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]
        """,
    "sqlmodel": """
        from sqlalchemy.orm import registry
        from sqlmodel import Field, SQLModel
        class Base(SQLModel, registry=registry()):
            pass
        class Device(Base, table=True):
            __table_args__ = {"schema": "dcim"}
            id: int = Field(primary_key=True)
            name: str
        """,
    "imperative": """
        from sqlalchemy import Column, Integer, Table, Text
        from sqlalchemy.orm import registry
        class Device:
            pass
        mappers = registry()
        columns = (Column("id", Integer, primary_key=True), Column("name", Text))
        mappers.map_imperatively(Device, Table("device", mappers.metadata, *columns, schema="dcim"))
        """,
    "one_table": """
        from sqlalchemy import MetaData
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
        class Base(DeclarativeBase):
            metadata = MetaData(schema="dcim")
        class Any(Base):
            __tablename__ = "device"
            __mapper_args__ = {"polymorphic_on": "serial"}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]
            serial: Mapped[str]
        class Device(Any):
            __mapper_args__ = {"polymorphic_identity": "device"}
        """,
}


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    with imports_undone(tmp_path):
        yield


class Shouts(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.name = changed_object.name.upper()
        return type(changed_object).__name__


class ShoutsAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.name = changed_object.name.upper()
        return type(changed_object).__name__


@pytest.mark.parametrize("kind", KINDS)
async def test_an_object_of_a_class_that_is_mapped_in_any_way_is_written(
    db: Connection, daemon_dsn: str, device: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / f"acme_{kind}.py").write_text(textwrap.dedent(KINDS[kind]))
    add_hook(db, Shouts, device)
    add_hook(db, ShoutsAsynchronously, device)
    async with running_daemon(
        daemon_dsn, Shouts, ShoutsAsynchronously, models=(f"acme_{kind}.py",), directory=tmp_path
    ):
        db.execute("insert into dcim.device values (1, 'sw1', 'device')")
        await settled(db)
    assert db.execute("select result from rowhooks.results").fetchall() == [("Device",), ("Device",)]
    assert db.execute("select name from dcim.device").fetchall() == [("SW1",)]
