"""The buttons on the page of a row: in groups, in order, with labels that are harmless whatever is in them."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.console import logged_in, page_at
from tests.support.pressing import add_button
from tests.support.queries import queries

Connection = psycopg.Connection[Any]
ROW = "/tables/shop.item/row?key=42"


@pytest.fixture
def bolt(db: Connection, item: str) -> str:
    """Row 42 of shop.item, which mallory may read."""
    db.execute("insert into shop.item values (42, 'bolt', 1.50)")
    db.execute("grant usage on schema shop to public; grant select on shop.item to public")
    return ROW


def add(db: Connection, name: str, text: str | None = None, **values: Any) -> None:
    """Make a button on shop.item that everybody may press and that does not ask."""
    add_button(db, "shop.item", name)
    changed = {"text": name if text is None else text, "confirmation": False, **values}
    for column, value in changed.items():
        db.execute(f"update rowhooks.job_button set {column} = %s where name = %s".encode(), (value, name))


async def page_of(console: Starlette, address: str, role: str = "mallory") -> str:
    page = await page_at(console, address, role)
    assert len(page.encode()) < 100_000
    return page


def labels(page: str) -> list[str]:
    """Return the labels of the buttons that press, in their order, as HTML."""
    section = page[page.index('aria-label="Buttons"') : page.index("</section>")]
    return re.findall(r"<button class=\"[^\"]*\"><bdi>(.*?)</bdi>", section)


async def test_groups_are_dropdowns_and_buttons_come_by_weight(console: Starlette, db: Connection, bolt: str) -> None:
    add(db, "c", weight=10, group_name="Power")
    add(db, "b", weight=20, group_name="Power", button_class="danger")
    add(db, "a", weight=5)
    add(db, "z", weight=1)
    page = await page_of(console, bolt)
    assert labels(page) == ["z", "a", "c", "b"]
    group = page[page.index('<details class="group">') : page.index("</section>")]
    assert '<summary class="button"><bdi>Power</bdi></summary>' in group
    assert '<button class="danger"><bdi>b</bdi></button>' in group
    assert "<bdi>a</bdi>" not in group


async def test_labels_are_templates_of_the_row_with_its_values_types(
    console: Starlette, db: Connection, bolt: str
) -> None:
    add(db, "price", "{{ obj.name }} costs {{ obj.price * 2 }} for {{ user.username }}")
    add(db, "nothing", "{% if obj.price > 100 %}Dear{% endif %}")
    assert labels(await page_of(console, bolt)) == ["bolt costs 3.00 for mallory"]


async def test_a_template_may_ask_for_permissions_and_no_other_makes_a_query(
    console: Starlette, db: Connection, bolt: str
) -> None:
    add(db, "plain", "{{ user }}")
    async with logged_in(console, "mallory") as browser:
        with queries() as executed:
            await browser.get(bolt)
        before = len(executed)
        add(
            db, "asks", "{% if user.has_perm('shop.view_item') and not user.has_perm('shop.add_item') %}sees{% endif %}"
        )
        add(db, "groups", "{{ user.groups | length }} {{ user.is_superuser }}")
        with queries() as executed:
            page = (await browser.get(bolt)).text
    assert labels(page) == ["sees", "0 False", "mallory"]
    assert len(executed) == before + 4


async def test_a_template_that_fails_is_a_disabled_button_with_the_reason(
    console: Starlette, db: Connection, bolt: str
) -> None:
    add(db, "wrong", "{{ obj.nothing }} <b>")
    add(db, "worse", "{{ user.has_perm('x') }}")
    page = await page_of(console, bolt)
    assert re.search(r"disabled><bdi>wrong</bdi></button>\s*<span class=\"help\">the text cannot be rendered: ", page)
    assert re.search(r"disabled><bdi>worse</bdi></button>", page)
    assert labels(page) == []


async def test_a_label_keeps_a_few_elements_and_nothing_else(console: Starlette, db: Connection, bolt: str) -> None:
    add(
        db,
        "a",
        "<b class=x>Reboot</b> <img src=x onerror=alert(1)></button></form><script>alert(1)</script>{{ obj.name }}",
    )
    add(db, "b", "<script>alert(2)</script>")
    add(db, "c", "{{ '<i>' | safe }}{{ obj.name }}")
    page = await page_of(console, bolt)
    assert labels(page) == ["<b>Reboot</b> bolt", "b", "<i>bolt</i>"]
    assert "alert(" not in page


class Elements(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


HOSTILE = [
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</td></table></form><h1>x", "{{ 7777 * 7777 }}",
    "javascript:alert(1)", "&lt;b&gt;", "\u202e\u2066x", "`${alert(1)}`", "<!--", "]]>", "\x7f\x1b[31m",
    "</textarea></select>",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
async def test_whatever_stands_in_a_row_is_text(console: Starlette, db: Connection, bolt: str, text: str) -> None:
    db.execute("create table shop.word (word text primary key, other text, document jsonb, words text[], bytes bytea)")
    db.execute(f"comment on column shop.word.other is {_literal(text)}".encode())
    db.execute(
        "insert into shop.word values (%(t)s, %(t)s, to_jsonb(%(t)s::text), array[%(t)s], %(t)s::text::bytea)"
        if "\\" not in text else "insert into shop.word values (%(t)s, %(t)s)", {"t": text},
    )  # fmt: skip
    db.execute("select rowhooks.track('shop.word'); grant select on shop.word to public")
    add_button(db, "shop.word", text)
    db.execute("update rowhooks.job_button set text = '{{ obj.word }} {{ obj.document }}', group_name = %s", (text,))
    async with logged_in(console, "mallory") as browser:
        pages = [await browser.get("/tables/shop.word"), await browser.get("/tables?search=" + "x")]
        (path,) = re.findall(r'<th scope="row"><a href="([^"]+)"', pages[0].text)
        pages.append(await browser.get(html.unescape(path)))
        key = re.findall(r'name="key" value="([^"]*)"', pages[0].text)
        press = "/tables/shop.word/press"
        pages.append(await browser.submit(press, follow=True, button=text, key=html.unescape(key[0])))
        pages.append(await browser.submit(press, follow=True, button=text, key=text))
        pages.append(await browser.get(f"/tables/shop.word?{_query(column=text, operator=text, value=text)}"))
        pages.append(await browser.get(f"/tables/shop.word?{_query(sort=text, after=text, before=text)}"))
        pages.append(await browser.get(f"/tables/shop.word/row?{_query(key=text)}"))
    for page in pages:
        assert page.status_code in (200, 404, 422), page.text
        browser_sees = Elements(page.text)
        assert not {"img", "h1"} & set(browser_sees.tags[browser_sees.tags.index("h1") + 1 :])
        assert browser_sees.tags.count("script") == 1
        assert not [name for name, _ in browser_sees.attributes if name.startswith("on") or name == "style"]
        paths = [value or "" for name, value in browser_sees.attributes if name in ("href", "src", "action")]
        assert all(path.startswith(("/", "#")) and not path.startswith("//") for path in paths)
        # A field's value is what it is.
        shown = re.sub(r' value="[^"]*"', "", page.text)
        assert not re.findall("\u202e|\x1b|60481729", shown)


async def test_names_of_tables_columns_and_keys_are_text(console: Starlette, db: Connection, bolt: str) -> None:
    name = "<img src=x>\"'"
    quoted = '"' + name.replace('"', '""') + '"'
    db.execute(f"create schema {quoted}; create table {quoted}.{quoted} ({quoted} text primary key, b int)".encode())
    db.execute(f"create table {quoted}.other (id integer primary key, a text references {quoted}.{quoted})".encode())
    db.execute(f"insert into {quoted}.{quoted} values ('x', 1); insert into {quoted}.other values (1, 'x')".encode())
    db.execute(
        f"grant usage on schema {quoted} to mallory; grant select on all tables in schema {quoted} to mallory".encode()
    )
    async with logged_in(console, "mallory") as browser:
        page = await browser.get("/tables?search=%3Cimg")
        seen = [page.text]
        for path in re.findall(r'<th scope="row"><a href="([^"]+)"', page.text):
            rows = await browser.get(html.unescape(path))
            assert rows.status_code == 200
            seen.append(rows.text)
            (row,) = re.findall(r'<th scope="row"><a href="([^"]+)"', rows.text)
            shown = await browser.get(html.unescape(row))
            assert shown.status_code == 200
            seen.append(shown.text)
            for link in re.findall(r'href="(/tables/[^"]+)"', shown.text):
                assert (await browser.get(html.unescape(link))).status_code == 200
    assert len(seen) == 5
    assert not any("<img" in text for text in seen)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _query(**fields: str) -> str:
    return urlencode(fields)
