"""A server that asks for passwords, and the commands that a quick start prints."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator

import psycopg

from rowhooks.demo.embedded import EmbeddedPostgres
from tests.support.databases import embedded_server

ACCESS = """
local all postgres trust
local all free trust
local all owner trust
local all shut reject
local all all scram-sha-256
"""
TABLES = """
create schema dcim;
create table dcim.location (id bigint generated always as identity primary key, name text not null unique);
create table dcim.device (
  id serial primary key,
  location_id bigint not null references dcim.location,
  name varchar(4) not null,
  status text not null check (status in ('it''s on', 'off')),
  password text
);
create table dcim.nothing (a text);
create view dcim.names as select d.name from dcim.device as d;
create table dcim.day (day date, what text, primary key (day)) partition by range (day);
create table dcim.day_default partition of dcim.day default;
insert into dcim.location (name) values ('Zurich');
"""


@contextlib.contextmanager
def server_with_passwords() -> Iterator[EmbeddedPostgres]:
    """Run a server that asks logins for a password, but for `postgres`, `free` and `owner`; it logs all statements."""
    with embedded_server({"log_statement": "all"}) as server:
        (server.data / "pg_hba.conf").write_text(ACCESS)
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("select pg_reload_conf()")
        yield server


def printed_commands(out: str) -> list[list[list[str]]]:
    """Return the three commands that a quick start ends with, each as the commands that a shell makes of it."""
    lines = out[out.index("Go on with these commands") :].splitlines()
    pasted = [shlex.split(line) for line in lines if line.startswith("  ") and not re.match("  [(A-Z]", line)]
    assert len(pasted) == 3, lines
    return [list(_apart(words)) for words in pasted]


def _apart(words: list[str]) -> Iterator[list[str]]:
    while "&&" in words:
        place = words.index("&&")
        yield words[:place]
        words = words[place + 1 :]
    yield words
