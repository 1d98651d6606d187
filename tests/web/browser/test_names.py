"""Names that a browser could take for something else in an address: each leads to its own page."""

from __future__ import annotations

from psycopg import sql

from rowhooks.domain.display import visible
from tests.support.browser import Visitor, Visits
from tests.support.console_world import World

NAMES = (
    ".",
    "..",
    "...",
    "a/b",
    "%2F",
    "%2e",
    "?#",
    " ",
    "x ",
    "x",
    "new",
    "\uff4ee\uff57",
    "\u0435",
    "e",
    "é" * 31 + "x",
)
"""Dots, separators, escapes, spaces, look-alikes, a word that paths have, and as many bytes as a name may have."""


def test_each_name_has_an_address_that_a_browser_leaves_as_it_is(own_world: World, visiting: Visits) -> None:
    db = own_world.db
    db.execute('create schema ".."')
    for name in NAMES:
        table = sql.Identifier("..", name)
        db.execute(sql.SQL("create table {} (id integer primary key); insert into {} values (1)").format(table, table))
    db.execute('grant usage on schema ".." to ada; grant select on all tables in schema ".." to ada')
    db.execute("delete from rowhooks.job_hook; delete from rowhooks.job_button")
    for name in NAMES:
        db.execute("insert into rowhooks.job (class_path, kind, name) values (%s, 'hook', 'A job')", (name,))
        db.execute(
            "insert into rowhooks.job_hook (name, job_id, type_update, enabled) select %s, j.id, true, false"
            " from rowhooks.job as j where j.class_path = %s", (name, name),
        )  # fmt: skip
        db.execute(
            "insert into rowhooks.job_button (name, job_id, text) select %s, min(j.id), 'x' from rowhooks.job as j"
            " where j.kind = 'button'", (name,),
        )  # fmt: skip
    with visiting.console(own_world.dsn) as address:
        ada = visiting(address, "ada")
        for kind in ("Hook", "Job", "Button"):
            found = {heading_at(ada, path) for path in links(ada, f"/{kind.lower()}s")}
            assert {f"{kind} {visible(name)}" for name in NAMES} <= found
        paths = links(ada, "/tables?search=..")
        assert len({heading_at(ada, path) for path in paths}) == len(paths) == len(NAMES)
        for path in paths:
            [row] = links(ada, path, "th a")
            assert heading_at(ada, row).endswith(" 1")


def links(visitor: Visitor, path: str, within: str = "main td a, main th a") -> list[str]:
    """Return where the links of a listing lead, each once."""
    visitor.goes_to(path)
    below = path.partition("?")[0]
    hrefs = [str(one.get_attribute("href")) for one in visitor.page.locator(within).all()]
    return [one for one in dict.fromkeys(hrefs) if one.startswith(f"{below}/")]


def heading_at(visitor: Visitor, path: str) -> str:
    """Return the heading of a page, after a click's way there: the browser has not made another address of it."""
    answer = visitor.goes_to(path)
    assert answer.status == 200, path
    assert visitor.page.url == visitor.address + path
    return visitor.page.locator("h1").text_content() or ""
