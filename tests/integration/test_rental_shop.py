# ruff: noqa: E501  (statements, a line each)
"""Every table of a shop tracked, some hundred statements: after each, the log says what became of the rows."""

from __future__ import annotations

import contextlib
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.cli import call

Connection = psycopg.Connection[Any]
SCHEMA = Path(__file__).with_name("rental_shop.sql").read_text("utf-8")
KEYS = {
    "language": ["id"], "category": ["id"], "actor": ["id"], "film": ["id"], "film_actor": ["actor", "film"],
    "film_category": ["id"], "store": ["id"], "staff": ["username"], "customer": ["id"], "inventory": ["id"],
    "rental": ["id"], "payment": ["id", "paid_on", "staff"], "session": ["token"],
}  # fmt: skip
SNAPSHOT = " union all ".join(f"select '{table}', to_jsonb(t)::text from shop.{table} as t" for table in KEYS)

# What is written; {small}, {other} and {day} are drawn anew each time.
STATEMENTS = [
    "insert into shop.language (name) values ('English'), ('Ελληνικά')",
    "insert into shop.category values ({small}, 'Drama') on conflict (id) do update set name = excluded.name || '{other}'",
    "update shop.category set id = id + 100 where id = {small}",
    "delete from shop.category where id = {small}",
    "insert into shop.actor (first_name, last_name) select 'A' || i, 'B' from generate_series(1, {small}) as i",
    "update shop.actor set first_name = first_name where id = {small}",
    "delete from shop.actor where id % 7 = {other}",
    "insert into shop.film (title, language, rating, special_features, ratings_by_country, available)"
    " select 'Film {other}', min(id), 'PG-13', '{{Trailers,\"Deleted, Scenes\",NULL}}', '{{\"DE\": [12, 1.50]}}',"
    " '[{day},)' from shop.language having count(*) > 0",
    "update shop.film set description = 'about ' || id, rating = 'NC-17', rental_rate = rental_rate + 0.10"
    " where id % 4 = {small} % 4",
    "update shop.film set length = null, special_features = special_features || array['x'] where id = {small}",
    "update shop.film set id = id + 1000 where id = {small}",
    "delete from shop.film where id = {other}",
    "insert into shop.film_actor select a.id, f.id from shop.actor as a, shop.film as f where (a.id + f.id) % 3 = 0"
    " on conflict do nothing",
    "insert into shop.film_category (film, category) select f.id, c.id from shop.film as f, shop.category as c"
    " where f.id % 3 = {other} % 3",
    "insert into shop.store values ({small}, row('Main St', {other})::shop.place, null) on conflict do nothing",
    "update shop.store set address.street = 'Side St', manager = (select id from shop.staff order by random() limit 1)"
    " where id = {small}",
    "delete from shop.store where id = {small}",
    "insert into shop.staff select 'user{small}', {small}, min(id), '\\x0102ff' from shop.store on conflict do nothing",
    "update shop.staff set username = username || 'x', picture = null, active = not active where id = {small}",
    "delete from shop.staff where id = {small}",
    "insert into shop.customer (id, name, email, \"Größe\") values ({small}, 'Ann', 'ann{small}@x', 'NaN')"
    ' on conflict (id) do update set email = excluded.email, "Größe" = random()',
    "update shop.active_customer set name = name || '!' where id <= {small}",
    "update shop.customer set active = false where id = {other}",
    "update shop.customer set id = id + 50 where id = {small}",
    "delete from shop.customer where id = {small} + 50",
    "insert into shop.inventory (film, store) select f.id, s.id from shop.film as f, shop.store as s where f.id % 5 = {small} % 5",
    "insert into shop.rental (period, inventory, customer) select '[{day} 10:00+00,{day} 12:00+02)', i.id, c.id"
    " from (select id from shop.inventory order by id limit 3) as i, shop.customer as c where c.id = {small}",
    "update shop.rental set customer = (select max(id) from shop.customer) where id % 3 = {small} % 3",
    "delete from shop.rental where id % 5 = {small} % 5",
    "insert into shop.payment (customer, staff, amount, paid_on) select id, {small} % 3, {other}.50, '{day}'::date + id % 60"
    " from shop.customer",
    "update shop.payment set paid_on = '{day}', amount = 'NaN' where id % 4 = {small} % 4",
    "update shop.payment_02 set staff = 3 - staff where staff in (1, 2)",
    "delete from shop.payment_01 where id % 3 = 1",
    "with paid as (delete from shop.payment where id % 9 = {small} returning *)"
    " insert into shop.payment (customer, staff, amount, paid_on) select customer, 1, amount, paid_on from paid",
    "insert into shop.session values ('t{small}', {other}, '10.0.0.{small}/8') on conflict (token) do update set seen = null",
    "do $$ begin delete from shop.session; raise exception 'never mind'; exception when raise_exception then null; end $$",
    "refresh materialized view shop.ratings",
]
TRUNCATES = ["truncate shop.session", "truncate shop.payment", "truncate shop.film cascade"]


def parsed(text: str) -> dict[str, Any]:
    return dict(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def key_of(table: str, row: str) -> tuple[str, ...]:
    values = parsed(row)
    return (table, *(str(values[name]) for name in KEYS[table]))


def snapshot(db: Connection) -> dict[tuple[str, ...], str]:
    """Return every row of the shop by its table and key."""
    return {key_of(table, row): row for table, row in db.execute(SNAPSHOT).fetchall()}


def recorded(db: Connection) -> tuple[dict[tuple[str, ...], list[str | None]], set[str]]:
    """Return the first row before and the last row after of each key in the log, and the tables emptied; clear it."""
    rows: dict[tuple[str, ...], list[str | None]] = {}
    emptied: set[str] = set()
    changes = db.execute(
        "select split_part(object_type, '.', 2), action, object_id, prechange::text, postchange::text, capture_error"
        " from rowhooks.changes order by id"
    ).fetchall()
    db.execute("delete from rowhooks.object_change")

    def step(key: tuple[str, ...], before: str | None, after: str | None) -> None:
        chain = rows.setdefault(key, [before, before])
        assert chain[1] == before, f"the chain of {key} is broken"
        chain[1] = after

    for table, action, object_id, before, after, problem in changes:
        assert problem is None
        if action == "truncate":
            emptied.add(table)
            continue
        last = parsed(after or before)
        assert list(object_id) == list(dict.fromkeys(object_id))
        assert {name: str(last[name]) for name in KEYS[table]} == {
            name: str(value) for name, value in object_id.items()
        }
        if before and after and key_of(table, before) != key_of(table, after):
            # A key that changed: the row is gone from the one and there under the other.
            step(key_of(table, before), before, None)
            step(key_of(table, after), None, after)
        else:
            step(key_of(table, after or before), before, after)
    return {key: chain for key, chain in rows.items() if chain[0] != chain[1]}, emptied


@pytest.fixture
def shop(db: Connection, dsn: str) -> None:
    """The shop, all of its tables tracked by one command."""
    db.execute(SCHEMA)
    assert call(["track", "shop.*", "--yes", "--dsn", dsn]) == 0


@pytest.mark.usefixtures("shop")
def test_a_glob_tracks_every_table_and_neither_views_nor_partitions(db: Connection) -> None:
    tracked = db.execute("select table_name, key_columns::text[] from rowhooks.tracked_table order by 1").fetchall()
    assert tracked == sorted(KEYS.items())


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_log_of_every_statement_is_what_became_of_the_rows(db: Connection, seed: int) -> None:
    # The same statements each time; what they are is the property test's to vary.
    chance = random.Random(seed)
    before, written = snapshot(db), 0
    for number in range(300):
        template = chance.choice(STATEMENTS if number % 50 != 49 else TRUNCATES)
        statement = template.format(
            small=chance.randint(1, 9),
            other=chance.randint(1, 9),
            day=f"2024-0{chance.randint(1, 3)}-1{chance.randint(0, 9)}",
        )
        # Where the shop's own constraints refuse it, nothing of it may be in the log.
        with contextlib.suppress(psycopg.errors.IntegrityError):
            db.execute(statement)
        after = snapshot(db)
        expected = {
            key: [before.get(key), after.get(key)]
            for key in before.keys() | after.keys() if before.get(key) != after.get(key)
        }  # fmt: skip
        found, emptied = recorded(db)
        assert found == {key: rows for key, rows in expected.items() if key[0] not in emptied}, statement
        assert not any(rows[1] for key, rows in expected.items() if key[0] in emptied), statement
        before, written = after, written + len(expected)
    assert written > 300
