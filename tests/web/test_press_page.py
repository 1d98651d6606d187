"""Buttons are pressed by forms: after a question, once for each form, or refused by the database with its reason."""

from __future__ import annotations

import asyncio
import datetime
import enum
import html
import re
from typing import Any, Literal
from urllib.parse import urlencode

import psycopg
import pydantic
import pytest
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette

from tests.support.console import Browser, logged_in
from tests.support.pressing import add_button, presses
from tests.support.queries import queries

Connection = psycopg.Connection[Any]
ROW = "/tables/shop.item/row?key=42"
PRESS = "/tables/shop.item/press"
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_ERROR = re.compile(r'<span class="error"[^>]*>([^<]*)</span>')


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Part(BaseModel):
    height: int


class Inputs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(ge=1, le=9, title="The size", description="In <b>units</b>")
    name: str = Field(default="core", max_length=20)
    ratio: float | None = None
    loud: bool = False
    colour: Colour = Colour.RED
    level: Literal[1, 2] | None = None
    tags: list[str] = []
    numbers: list[int] = [1, 2]
    colours: list[Colour] = []
    part: Part | None = None
    parts: list[Part] = []
    day: datetime.date | None = None
    secret: pydantic.SecretStr | None = None


@pytest.fixture
def button(db: Connection, item: str) -> None:
    """`Reboot` on shop.item, whose rows 42, 43 and 44 mallory and alice may read; it asks for a confirmation."""
    db.execute("insert into shop.item values (42, 'bolt', 1), (43, 'nut', 2), (44, 'pin', 3)")
    add_button(db, item)
    db.execute("grant usage on schema shop to public; grant select on shop.item to public")


@pytest.fixture
def plain(db: Connection, button: None) -> None:
    """It does not ask."""
    db.execute("update rowhooks.job_button set confirmation = false")


@pytest.fixture
def asking(db: Connection, plain: None) -> None:
    """It takes Inputs."""
    schema = {**Inputs.model_json_schema(), "additionalProperties": False}
    db.execute("update rowhooks.job set inputs_schema = %s", (Jsonb(schema),))


def hidden(page: str) -> dict[str, Any]:
    """Return the hidden fields of the last form of a page, apart from the token."""
    form = page[page.rindex("<form") :]
    return {name: html.unescape(value) for name, value in _HIDDEN.findall(form) if name != "csrf_token"}


def form_of(page: str, button: str) -> dict[str, Any]:
    """Return the hidden fields of the form that presses a button on a row."""
    forms = re.findall(r'<form method="post" action="[^"]*/press".*?</form>', page, re.DOTALL)
    fields = [{n: html.unescape(v) for n, v in _HIDDEN.findall(form) if n != "csrf_token"} for form in forms]
    return next(one for one in fields if one["button"] == button)


def errors(page: str) -> list[str]:
    return [html.unescape(error) for error in _ERROR.findall(page)]


async def asked(browser: Browser, **fields: Any) -> str:
    """Return the page that asks before a press."""
    answer = await browser.submit(PRESS, button="Reboot", key="42", follow=True, **fields)
    assert answer.status_code == 200, answer.text
    return answer.text


async def sent(browser: Browser, page: str, **fields: Any) -> Any:
    """Send the form of a page that asks."""
    return await browser.submit(PRESS, **hidden(page), **fields)


async def test_a_press_is_on_record_with_the_persons_role_and_leads_to_its_run(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "alice") as browser:
        page = (await browser.get(ROW)).text
        answer = await browser.submit(PRESS, **form_of(page, "Reboot"))
    [(press, role, key)] = presses(db, "id, db_user, object_id")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/runs/{press}"
    assert (role, key) == ("alice", {"id": 42})


async def test_who_sees_no_runs_sees_what_became_of_its_own_press_and_of_no_other(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        shown = await browser.submit(PRESS, follow=True, **form_of((await browser.get(ROW)).text, "Reboot"))
        assert shown.status_code == 200
        assert "You pressed <bdi>Reboot</bdi>" in shown.text
        assert "PENDING" in shown.text
        db.execute(
            "update rowhooks.job_result set status = 'FAILURE', started_at = now(), finished_at = now(),"
            " exception_type = 'rowhooks.domain.errors.JobFailed', exception_message = 'ask <the> boss'"
        )
        ended = (await browser.get(shown.url.path)).text
        assert "ask &lt;the&gt; boss" in ended
        assert "Look again" not in ended
        db.execute("update rowhooks.job_result set db_user = 'alice'")
        assert (await browser.get(shown.url.path)).status_code == 404


async def test_a_button_with_a_confirmation_is_not_pressed_before_it(
    console: Starlette, db: Connection, button: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await asked(browser)
        assert presses(db) == []
        assert "shop.item 42" in page
        assert (await sent(browser, page)).status_code == 303
    assert len(presses(db)) == 1


async def test_the_page_that_asks_has_an_address_at_which_nothing_is_pressed(
    console: Starlette, db: Connection, asking: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        page = (await browser.get(ROW)).text
        [form] = re.findall(r'<form action="([^"]+)" class="act">(.*?)</form>', page, re.DOTALL)
        assert form[0] == PRESS
        assert "csrf" not in form[1]
        wanted: dict[str, str] = {name: html.unescape(value) for name, value in _HIDDEN.findall(form[1])}
        told = await browser.submit(PRESS, button="Reboot", key="42")
        assert (told.status_code, told.headers["location"]) == (303, f"{PRESS}?{urlencode(wanted)}")
        pressing = {"confirmed": "yes", "input.size": "3", "csrf_token": browser.csrf_token, "idempotency_key": "k"}
        for more in (dict[str, str](), pressing):
            answer = await browser.get(PRESS, params={**wanted, **more})
            assert answer.status_code == 200, answer.text
            assert 'name="input.size" type="number" value=""' in answer.text
        assert presses(db) == []
        assert (await sent(browser, answer.text, **{"input.size": "3"})).status_code == 303
    assert len(presses(db)) == 1


async def test_rows_whose_keys_are_too_long_for_an_address_are_asked_about_at_once(
    console: Starlette, db: Connection, button: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        keys = [f"{number}{'0' * 100}" for number in range(90)]
        answer = await browser.submit(PRESS, button="Reboot", key=keys)
        assert answer.status_code == 200
        assert "90 rows of" in answer.text
    assert presses(db) == []


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"key": "42"}, 422, "no button was named"),
        ({"button": "Reboot"}, 422, "no row is selected"),
        ({"button": "Nothing", "key": "42"}, 404, "there is no button Nothing"),
        ({"button": "Off", "key": "42"}, 409, "mallory cannot press button Off on shop.item now"),
    ],
)
async def test_the_page_that_asks_says_what_cannot_be_pressed(
    console: Starlette, db: Connection, button: None, query: dict[str, str], status: int, said: str
) -> None:
    add_button(db, "shop.item", name="Off")
    db.execute("update rowhooks.job_button set enabled = false where name = 'Off'")
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get(PRESS, params=query)
    assert (answer.status_code, said in html.unescape(answer.text)) == (status, True), answer.text


async def test_the_form_on_a_row_asks_by_itself(console: Starlette, db: Connection, button: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = (await browser.get(ROW)).text
        assert "<summary" in page
        assert "on this row?" in page
        assert (await browser.submit(PRESS, **form_of(page, "Reboot"))).status_code == 303
    assert len(presses(db)) == 1


async def test_a_form_that_is_sent_twice_presses_once(console: Starlette, db: Connection, plain: None) -> None:
    async with logged_in(console, "mallory") as browser:
        form = form_of((await browser.get(ROW)).text, "Reboot")
        answers = await asyncio.gather(*(browser.submit(PRESS, **form) for _ in range(3)))
    [press] = presses(db)
    assert {answer.headers["location"] for answer in answers} == {f"/runs/{press}"}


async def test_a_form_that_is_sent_again_later_presses_nothing_and_says_so(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        form = form_of((await browser.get(ROW)).text, "Reboot")
        await browser.submit(PRESS, **form)
        db.execute("update rowhooks.job_result set created_at = now() - interval '1 minute'")
        answer = await browser.submit(PRESS, **form)
    [press] = presses(db)
    assert answer.status_code == 409
    assert "was not pressed now" in answer.text
    assert f'href="/runs/{press}"' in answer.text


async def test_a_form_that_is_sent_again_with_another_row_presses_nothing_and_says_so(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        form = form_of((await browser.get(ROW)).text, "Reboot")
        await browser.submit(PRESS, **form)
        answer = await browser.submit(PRESS, **{**form, "key": "43"})
    assert len(presses(db)) == 1
    assert answer.status_code == 409
    assert "with other rows or inputs" in answer.text


async def test_each_page_has_forms_of_its_own(console: Starlette, db: Connection, plain: None) -> None:
    async with logged_in(console, "mallory") as browser:
        for _ in range(2):
            await browser.submit(PRESS, **form_of((await browser.get(ROW)).text, "Reboot"))
    assert len(presses(db)) == 2


async def test_inputs_are_asked_for_by_fields_of_their_kinds(console: Starlette, asking: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await asked(browser)
    assert 'type="number"' in page
    assert ' min="1" max="9" step="1" required' in page
    assert "The size" in page
    assert "In &lt;b&gt;units&lt;/b&gt;" in page
    assert 'name="input.name" type="text" value="core" maxlength="20"' in page
    assert 'name="input.secret" type="password" autocomplete="off"' in page
    assert 'name="input.day" type="date"' in page
    assert '<option value="&#34;red&#34;" selected>red</option>' in page
    assert page.count('name="input.colours"') == 2
    assert page.index('name="input.size"') < page.index('name="input.day"'), "jsonb sorts names by their length"
    assert "1\n2</textarea>" in page
    assert "As JSON." in page


async def test_what_is_written_becomes_values_of_the_inputs_kinds(
    console: Starlette, db: Connection, asking: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await asked(browser)
        fields = {
            "input.size": "3", "input.name": "edge", "input.ratio": "0.10", "input.loud": "true",
            "input.colour": '"green"', "input.level": "2", "input.tags": "a\r\nb c\r\n\r\n", "input.numbers": "7",
            "input.colours": ['"red"', '"green"'], "input.part": '{"height": 4}', "input.parts": "[]",
            "input.day": "2026-11-29", "input.secret": "s3cret",
        }  # fmt: skip
        answer = await sent(browser, page, **fields)
        assert answer.status_code == 303, answer.text
    [inputs] = presses(db, "inputs")
    assert inputs == {
        "size": 3, "name": "edge", "ratio": 0.1, "loud": True, "colour": "green", "level": 2, "tags": ["a", "b c"],
        "numbers": [7], "colours": ["red", "green"], "part": {"height": 4}, "parts": [], "day": "2026-11-29",
        "secret": "s3cret",
    }  # fmt: skip
    Inputs.model_validate(inputs)


async def test_fields_that_are_left_empty_are_left_to_the_job(console: Starlette, db: Connection, asking: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await asked(browser)
        empty = {f"input.{name}": "" for name in Inputs.model_fields if name not in ("loud", "colours", "size")}
        answer = await sent(browser, page, **{**empty, "input.size": "3", "input.name": "core"})
        assert answer.status_code == 303, answer.text
        # What a default was deleted from is empty, and not the default again.
        answer = await sent(browser, await asked(browser), **{**empty, "input.size": "3"})
        assert answer.status_code == 303, answer.text
    assert presses(db, "inputs") == [
        {"size": 3, "name": "core", "loud": False, "numbers": []}, {"size": 3, "name": "", "loud": False, "numbers": []}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input.size": ""}, ["a value is needed"]),
        ({"input.size": "x", "input.ratio": "y"}, ["x is no whole number", "y is no number"]),
        ({"input.size": "1.5"}, ["1.5 is no whole number"]),
        ({"input.size": "1e400"}, ["must be at most 9"]),
        ({"input.size": "99"}, ["must be at most 9"]),
        ({"input.size": "3", "input.name": "x" * 21}, ["must have at most 20 characters"]),
        ({"input.size": "3", "input.colour": '"blue"'}, ["choose one of the values"]),
        ({"input.size": "3", "input.colours": ["1"]}, ["choose one of the values"]),
        ({"input.size": "3", "input.numbers": "1\ntwo"}, ["two is no whole number"]),
        ({"input.size": "3", "input.part": "{"}, ["this is no JSON: not valid JSON at character 1 of 1"]),
        ({"input.size": "3", "input.part": "{}"}, ["height is missing"]),
        ({"input.size": "3", "input.parts": '[{"height": 1}, {"height": "x"}]'},
         ["parts[1].height: expected integer, not string"]),
        ({"input.size": "3", "input.name": "a\0"}, ["PostgreSQL has no text with a zero byte"]),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_an_input_stands_beside_its_field_and_what_was_written_stays(
    console: Starlette, db: Connection, asking: None, fields: dict[str, Any], said: list[str]
) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await asked(browser)
        answer = await sent(
            browser, page, **{"input.name": "kept", "input.tags": "a\nb", "input.secret": "s3cret!", **fields}
        )
    assert answer.status_code == 422, answer.text
    assert errors(answer.text) == said
    assert answer.text.count('aria-invalid="true"') == len(said) - answer.text.count("<fieldset aria")
    assert "a\nb</textarea>" in answer.text
    assert "s3cret!" not in answer.text
    assert presses(db) == []
    for name, value in fields.items():
        if isinstance(value, str) and name in ("input.size", "input.name") and "\0" not in value:
            assert f'value="{value}"' in answer.text


async def test_after_a_problem_the_form_can_be_sent_again(console: Starlette, db: Connection, asking: None) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await sent(browser, await asked(browser), **{"input.size": "99"})
        answer = await sent(browser, answer.text, **{"input.size": "9"})
        assert answer.status_code == 303
    assert len(presses(db)) == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(500)}},
        {"type": "object", "properties": {"a": {"description": "x" * 30_000}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": 7, "$defs": 3},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"type": "object", "properties": {"a": True, "b": 3, "c": {"type": ["string", "null"]}, "d": {"enum": "x"}}},
    ],
)
async def test_a_schema_of_any_kind_is_a_form(
    console: Starlette, db: Connection, plain: None, schema: dict[str, Any]
) -> None:
    db.execute("update rowhooks.job set inputs_schema = %s", (Jsonb(schema),))
    async with logged_in(console, "mallory") as browser:
        answer = await browser.submit(PRESS, button="Reboot", key="42", follow=True)
        assert answer.status_code == 200
        assert len(answer.content) < 100_000
        name = "inputs" if 'name="inputs"' in answer.text else "input.a"
        answer = await sent(browser, answer.text, **{name: '{"a": "x"}'})
        assert answer.status_code == 303, answer.text
    assert presses(db, "inputs")[0] is not None


async def test_a_person_without_the_role_is_refused_by_the_database(
    console: Starlette, db: Connection, plain: None
) -> None:
    db.execute("update rowhooks.job_button set roles = '{rowhooks_admin}'")
    async with logged_in(console, "mallory") as browser:
        assert "Reboot" not in (await browser.get(ROW)).text
        answer = await browser.submit(PRESS, button="Reboot", key="42", confirmed="yes")
        assert answer.status_code == 403
        assert "role mallory may not press button Reboot" in html.unescape(answer.text)
        assert (await browser.submit(PRESS, button="Reboot", key="42")).status_code == 403
    assert presses(db) == []


@pytest.mark.parametrize(
    "revoked", ["revoke select on shop.item from public", "revoke usage on schema shop from public"]
)
async def test_a_press_on_a_table_that_the_person_may_not_read_is_refused_by_the_database(
    console: Starlette, db: Connection, plain: None, revoked: str
) -> None:
    db.execute(revoked.encode())
    async with logged_in(console, "mallory") as browser:
        answer = await browser.submit(PRESS, button="Reboot", key="42", confirmed="yes")
    assert answer.status_code == 403
    assert presses(db) == []


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"button": "Reboot"}, 422, "no row is selected"),
        ({"key": "42"}, 422, "no button was named"),
        ({"button": "Nothing", "key": "42"}, 404, "there is no button Nothing"),
        ({"button": "Nothing", "key": "42", "confirmed": "yes"}, 404, "there is no button Nothing"),
        ({"button": "Reboot", "key": "7"}, 404, "there is no row"),
        ({"button": "Reboot", "key": "x"}, 422, "x is no key of shop.item"),
        ({"button": "Reboot", "key": ""}, 422, "is no key of shop.item"),
        ({"button": "Reboot", "key": '{"name": "bolt"}'}, 422, "is no key of shop.item"),
        ({"button": "Reboot", "key": "42", "idempotency_key": "x" * 300}, 422, "longer than 255 characters"),
        ({"button": "Reb\0oot", "key": "42"}, 422, "zero byte"),
        ({"button": "Reboot", "key": ["42"] * 101}, 422, "101 rows are selected"),
        ({"button": "Reboot", "key": ["42", "42"], "confirmed": "yes"}, 422, "is named twice"),
    ],
)  # fmt: skip
async def test_what_cannot_be_pressed_says_why(
    console: Starlette, db: Connection, plain: None, fields: dict[str, Any], status: int, said: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await browser.submit(PRESS, **fields)
    assert (answer.status_code, said in html.unescape(answer.text)) == (status, True), answer.text
    assert presses(db) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update rowhooks.job_button set enabled = false", "button Reboot is disabled"),
        ("update rowhooks.job set enabled = false", "its job jobs.Reboot is disabled"),
        ("delete from rowhooks.job_button_table", "is not on table shop.item"),
        ("select rowhooks.untrack('shop.item')", "is not tracked"),
    ],
)
async def test_a_button_that_cannot_be_pressed_now_says_why(
    console: Starlette, db: Connection, plain: None, statement: str, said: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        form = form_of((await browser.get(ROW)).text, "Reboot")
        db.execute(statement.encode())
        answer = await browser.submit(PRESS, **form, confirmed="yes")
    assert answer.status_code == 409
    assert said in html.unescape(answer.text)
    assert presses(db) == []


async def test_a_disabled_job_is_a_disabled_button_with_the_reason(
    console: Starlette, db: Connection, plain: None
) -> None:
    db.execute("update rowhooks.job set enabled = false")
    async with logged_in(console, "mallory") as browser:
        page = (await browser.get(ROW)).text
    assert re.search(r"<button [^>]*disabled[^>]*><bdi>Press</bdi></button>", page)
    assert "its job jobs.Reboot is disabled" in page


async def test_a_button_is_pressed_on_several_rows_after_it_was_asked(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        listed = (await browser.get("/tables/shop.item")).text
        assert listed.count('type="checkbox" form="press" name="key"') == 3
        token = re.search(r'name="idempotency_key" value="([^"]+)"', listed)
        assert token
        answer = await browser.submit(PRESS, button="Reboot", key=["42", "44"], idempotency_key=token[1], follow=True)
        page = answer.text
        assert presses(db) == []
        assert "2 rows of" in page
        form = {**hidden(page), "key": ["42", "44"]}
        answers = await asyncio.gather(*(browser.submit(PRESS, **form) for _ in range(2)))
        batch = answers[0].headers["location"]
        assert answers[1].headers["location"] == batch
        shown = await browser.get(batch)
    assert presses(db, "object_id") == [{"id": 42}, {"id": 44}]
    assert "0 of 2 runs have ended" in shown.text
    assert '<progress id="finished" max="2" value="0">' in shown.text


async def test_one_row_that_is_not_there_keeps_a_button_from_being_pressed_on_all(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await browser.submit(PRESS, button="Reboot", key=["42", "7"], confirmed="yes")
    assert answer.status_code == 404
    assert "there is no row" in answer.text
    assert presses(db) == []


async def test_a_batch_of_somebody_else_is_not_found(console: Starlette, db: Connection, plain: None) -> None:
    async with logged_in(console, "alice") as browser:
        answer = await browser.submit(PRESS, button="Reboot", key=["42", "43"], confirmed="yes")
        batch = answer.headers["location"]
        assert (await browser.get(batch)).status_code == 200
    async with logged_in(console, "mallory") as browser:
        assert (await browser.get(batch)).status_code == 404


async def test_a_viewer_sees_batches_of_others_as_far_as_it_may_see_their_rows(
    console: Starlette, db: Connection, plain: None
) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await browser.submit(PRESS, button="Reboot", key=["42", "43"], confirmed="yes")
        batch = answer.headers["location"]
    async with logged_in(console, "alice") as browser:
        assert "0 of 2 runs have ended" in (await browser.get(batch)).text
        db.execute("alter table shop.item enable row level security; create policy one on shop.item using (id = 42)")
        assert "0 of 1 runs have ended" in (await browser.get(batch)).text
        db.execute("drop policy one on shop.item")
        assert (await browser.get(batch)).status_code == 404


async def test_inputs_are_given_to_each_of_several_rows(console: Starlette, db: Connection, asking: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = (await browser.submit(PRESS, button="Reboot", key=["42", "43"], follow=True)).text
        answer = await browser.submit(PRESS, **{**hidden(page), "key": ["42", "43"], "input.size": "12"})
        assert errors(answer.text) == ["must be at most 9"]
        answer = await browser.submit(PRESS, **{**hidden(answer.text), "key": ["42", "43"], "input.size": "2"})
        assert answer.status_code == 303
    assert [inputs["size"] for inputs in presses(db, "inputs")] == [2, 2]


async def test_a_key_of_several_columns_is_pressed_on(console: Starlette, db: Connection, item: str) -> None:
    db.execute("create table shop.place (hall text, number integer, primary key (hall, number))")
    db.execute("insert into shop.place values ('a', 1), ('{', 2); select rowhooks.track('shop.place')")
    add_button(db, "shop.place")
    db.execute("update rowhooks.job_button set confirmation = false")
    db.execute("grant usage on schema shop to mallory; grant select on shop.place to mallory")
    async with logged_in(console, "mallory") as browser:
        listed = (await browser.get("/tables/shop.place")).text
        keys = [html.unescape(key) for key in re.findall(r'name="key" value="([^"]+)"', listed)]
        for key in keys:
            answer = await browser.submit("/tables/shop.place/press", button="Reboot", key=key)
            assert answer.status_code == 303, answer.text
        answer = await browser.submit("/tables/shop.place/press", button="Reboot", key=keys, confirmed="yes")
        assert answer.status_code == 303, answer.text
    assert presses(db, "object_id") == [{"hall": "a", "number": 1}, {"hall": "{", "number": 2}] * 2


async def test_a_key_with_ends_of_lines_is_pressed_on(console: Starlette, db: Connection, item: str) -> None:
    db.execute("create table shop.word (word text primary key); select rowhooks.track('shop.word')")
    db.execute("insert into shop.word values (E'a\\nb\\r\\tc')")
    add_button(db, "shop.word")
    db.execute("grant usage on schema shop to mallory; grant select on shop.word to mallory")
    async with logged_in(console, "mallory") as browser:
        listed = (await browser.get("/tables/shop.word")).text
        [path] = re.findall(r'<th scope="row"><a href="([^"]+)"', listed)
        form = form_of((await browser.get(html.unescape(path))).text, "Reboot")
        assert not set(form["key"]) & set("\r\n\t")
        assert (await browser.submit("/tables/shop.word/press", **form)).status_code == 303
    assert presses(db, "object_id") == [{"word": "a\nb\r\tc"}]


async def test_a_press_asks_no_more_than_four_queries(console: Starlette, asking: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await asked(browser)
        with queries() as executed:
            answer = await sent(browser, page, **{"input.size": "3"})
        assert answer.status_code == 303
    assert len(executed) <= 4
