"""A user's own SQLAlchemy classes, as applications have them, and their tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, MetaData, String, TypeDecorator, func
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

TABLES = """
create schema inventory;
create table inventory.location (id integer primary key, name text not null);
create table inventory.device (
  id integer primary key,
  "deviceName" text not null,
  kind text not null default 'device',
  serial text,
  colour text,
  made timestamptz not null default now(),
  location_id integer references inventory.location,
  not_mapped text
);
create table inventory.server (
  device_id integer primary key references inventory.device on delete cascade,
  cores integer not null
);
create table inventory.rack (hall text, number integer, note text, primary key (hall, number));
create table inventory.slot (
  id integer generated always as identity primary key,
  hall text, rack integer, taken boolean not null default false,
  foreign key (hall, rack) references inventory.rack
);
insert into inventory.location values (1, 'Zurich'), (2, 'Bern');
"""
TRACKED = ("location", "device", "server", "rack", "slot")


class Base(AsyncAttrs, DeclarativeBase):
    metadata = MetaData(schema="inventory")


class Lowercase(TypeDecorator[str]):
    """Text that the application keeps in lower case."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.lower()

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.upper()


class Location(Base):
    __tablename__ = "location"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    devices: Mapped[list[Device]] = relationship(back_populates="location")


class Device(Base):
    __tablename__ = "device"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "device"}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("deviceName")
    kind: Mapped[str] = mapped_column(default="device")
    serial: Mapped[str | None]
    colour: Mapped[str | None] = mapped_column(Lowercase)
    made: Mapped[datetime] = mapped_column(server_default=func.now())
    location_id: Mapped[int | None] = mapped_column(ForeignKey(Location.id))
    location: Mapped[Location | None] = relationship(back_populates="devices")

    @hybrid_property
    def label(self) -> str:
        return self.name + "/"


class Server(Device):
    __tablename__ = "server"
    __mapper_args__ = {"polymorphic_identity": "server"}  # noqa: RUF012
    id: Mapped[int] = mapped_column("device_id", ForeignKey(Device.id), primary_key=True)
    cores: Mapped[int]


class Rack(Base):
    __tablename__ = "rack"
    hall: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None]
    slots: Mapped[list[Slot]] = relationship(back_populates="rack_", lazy="selectin", order_by="Slot.id")


class Slot(Base):
    __tablename__ = "slot"
    __table_args__ = (ForeignKeyConstraint(["hall", "rack"], [Rack.hall, Rack.number]),)
    id: Mapped[int] = mapped_column(primary_key=True)
    hall: Mapped[str | None]
    rack: Mapped[int | None]
    taken: Mapped[bool] = mapped_column(default=False)
    rack_: Mapped[Rack | None] = relationship(back_populates="slots", lazy="selectin")
