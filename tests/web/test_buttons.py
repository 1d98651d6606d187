"""Buttons in the console: listed, added, edited, previewed on a row, enabled, disabled, removed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.administration.buttons import add_button
from tests.support.configuring import EVIL, add_job, field_of, is_inert, problem_of, text_in
from tests.support.console import logged_in, submitted

Connection = psycopg.Connection[Any]
JOB = "buttons.Reboot"
FORM: dict[str, Any] = {
    "name": "Reboot", "job": JOB, "tables": ["dcim.device"], "text": "Reboot {{ obj.name }}", "group_name": "Power",
    "weight": "20", "button_class": "warning", "confirmation": "yes", "roles": "alice", "enabled": "yes", "act": "save",
}  # fmt: skip
PREVIEW = FORM | {"act": "preview", "preview_table": "dcim.device", "preview_key": "1"}


@pytest.fixture
def job(console: Starlette, db: Connection, device: str) -> str:
    db.execute("grant usage on schema dcim to alice, ada; grant select on dcim.device to alice, ada")
    db.execute("insert into dcim.device values (1, 'core1', 'A1')")
    add_job(db, JOB, "button", description="Reboots it.", inputs={"properties": {"delay": {"type": "integer"}}})
    return JOB


@pytest.fixture
def button(db: Connection, job: str) -> str:
    add_button(db, "Reboot", job=job, tables=["dcim.device"], text="Reboot", roles=["alice"])
    return "Reboot"


def definition(db: Connection) -> Any:
    return db.execute(
        "select b.name, b.text, b.group_name, b.weight, b.button_class, b.confirmation, b.roles, b.enabled"
        " from rowhooks.job_button as b"
    ).fetchone()


async def test_buttons_are_listed_in_the_order_of_a_page_with_state_and_who_may_press(
    console: Starlette, db: Connection, button: str
) -> None:
    add_job(db, "buttons.Off", "button", enabled=False)
    add_button(db, "Off", job="buttons.Off", tables=["dcim.device"], text="Off", weight=1)
    add_button(db, "All", job=JOB, tables=["dcim.device"], text="All", group_name="Z", roles=["public"])
    async with logged_in(console, "alice") as browser:
        said = text_in((await browser.get("/buttons")).text)
    assert (
        "Off 1 enabled starts nothing: its job buttons.Off is disabled buttons.Off dcim.device"
        " only superusers and members of the daemon's role none"
    ) in said
    assert "Reboot 100 enabled buttons.Reboot dcim.device members of alice none All Z 100 enabled" in said
    assert "every role" in said


async def test_a_button_says_what_it_does_and_whether_i_may_press_it(
    console: Starlette, db: Connection, button: str
) -> None:
    for role, answer in (("alice", "You may."), ("oscar", "You may not.")):
        async with logged_in(console, role) as browser:
            said = text_in((await browser.get("/buttons/Reboot")).text)
        assert "Job buttons.Reboot : Reboots it." in said
        assert "Inputs delay (integer)" in said
        assert f"May press members of alice. {answer}" in said


async def test_many_buttons_are_listed_on_pages_that_follow_each_other(
    console: Starlette, db: Connection, job: str
) -> None:
    db.execute(
        "insert into rowhooks.job_button (name, job_id, text, weight)"
        " select 'button ' || to_char(g.n, 'FM000'), j.id, 'text', g.n / 10"
        " from rowhooks.job as j cross join generate_series(1, 120) as g (n)"
    )
    found: list[int] = []
    path: str | None = "/buttons"
    async with logged_in(console, "alice") as browser:
        while path:
            page = (await browser.get(path)).text
            assert len(page.encode()) < 100_000
            found += [n for n in range(1, 121) if f">button {n:03}<" in page]
            path = next((part.split('"')[0] for part in page.split('rel="next" href="')[1:]), None)
    assert found == list(range(1, 121))


async def test_an_admin_adds_a_button_with_all_that_it_enters(console: Starlette, db: Connection, job: str) -> None:
    answer = await submitted(console, "ada", "/buttons/new", follow=True, **FORM)
    assert answer.url.path == "/buttons/Reboot"
    assert "The button was added." in text_in(answer.text)
    assert definition(db) == ("Reboot", "Reboot {{ obj.name }}", "Power", 20, "warning", True, ["alice"], True)


@pytest.mark.parametrize(
    ("entered", "field", "message"),
    [
        ({"name": ""}, "name", "Name the button."),
        ({"job": "buttons.Nothing"}, "job", "there is no job buttons.Nothing"),
        ({"job": "hooks.Hook"}, "job", "button Reboot cannot start job hooks.Hook: it is a hook receiver"),
        ({"tables": []}, "tables", "Choose at least one table."),
        ({"text": "{{ obj.name"}, "text", "the text is no Jinja2 template"),
        ({"text": "x" * 501}, "text", "the text has 501 characters"),
        ({"text": " "}, "text", "Enter a label"),
        ({"weight": "-1"}, "weight", "Enter a whole number from 0"),
        ({"weight": "9" * 400}, "weight", "Enter a whole number from 0"),
        (
            {"queue": "a b"},
            "queue",
            "queue 'a b' is no name of a queue (a name has 1 to 63 letters, digits, _, - and .)",
        ),
        ({"button_class": "huge"}, "button_class", "Choose from: default, primary"),
        ({"roles": "alice\nnobody at all"}, "roles", "there is no role nobody at all"),
    ],
)
async def test_what_is_refused_is_said_beside_its_field_and_what_was_entered_is_kept(
    console: Starlette, db: Connection, job: str, entered: dict[str, Any], field: str, message: str
) -> None:
    add_job(db, "hooks.Hook")
    answer = await submitted(console, "ada", "/buttons/new", **FORM | entered)
    assert answer.status_code == 422
    assert message in problem_of(answer.text, field)
    assert field_of(answer.text, "group_name") == "Power"
    assert field_of(answer.text, "text") == entered.get("text", FORM["text"])
    assert definition(db) is None


async def test_an_edit_changes_what_differs_and_keeps_the_name(console: Starlette, db: Connection, button: str) -> None:
    async with logged_in(console, "ada") as browser:
        form = (await browser.get("/buttons/Reboot/edit")).text
        sent = {name: value for name, value in FORM.items() if name != "confirmation"} | {"name": "Another"}
        answer = await browser.submit("/buttons/Reboot/edit", follow=True, **sent | {"seen": field_of(form, "seen")})
        late = await browser.submit("/buttons/Reboot/edit", **sent | {"seen": field_of(form, "seen"), "weight": "7"})
    assert answer.url.path == "/buttons/Reboot"
    assert definition(db) == ("Reboot", "Reboot {{ obj.name }}", "Power", 20, "warning", False, ["alice"], True)
    assert "button Reboot was changed meanwhile" in text_in(late.text)
    assert field_of(late.text, "weight") == "7"


async def test_an_operator_enables_and_disables_and_changes_nothing_else(
    console: Starlette, db: Connection, button: str
) -> None:
    async with logged_in(console, "oscar") as browser:
        page = (await browser.get("/buttons/Reboot")).text
        answer = await browser.submit("/buttons/Reboot/enabled", follow=True, enabled="no")
        removal = await browser.submit("/buttons/Reboot/remove")
        addition = await browser.submit("/buttons/new", **FORM | {"name": "Another"})
    assert "/buttons/Reboot/edit" not in page
    assert "The button was disabled." in text_in(answer.text)
    assert removal.status_code == addition.status_code == 403
    assert definition(db)[-1] is False


async def test_a_viewer_sees_no_act_and_a_forged_one_is_refused(
    console: Starlette, db: Connection, button: str
) -> None:
    before = definition(db)
    async with logged_in(console, "alice") as browser:
        page = (await browser.get("/buttons/Reboot")).text
        answers = [
            await browser.submit("/buttons/Reboot/enabled", enabled="no"),
            await browser.submit("/buttons/Reboot/remove"),
            await browser.submit("/buttons/new", **FORM | {"name": "another"}),
        ]
    assert "/buttons/Reboot/enabled" not in page
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert definition(db) == before


async def test_removing_a_button_asks_first(console: Starlette, db: Connection, button: str) -> None:
    async with logged_in(console, "ada") as browser:
        assert "Remove button Reboot? Its definition is lost." in text_in((await browser.get("/buttons/Reboot")).text)
        answer = await browser.submit("/buttons/Reboot/remove", follow=True)
    assert "The button was removed." in text_in(answer.text)
    assert definition(db) is None


async def test_a_preview_shows_the_label_who_may_press_and_what_a_press_asks_for(
    console: Starlette, db: Connection, job: str
) -> None:
    entered = {"roles": "alice\nnobody", "text": "{{ user.username }} reboots {{ obj.name }}", "name": ""}
    answer = await submitted(console, "ada", "/buttons/new", **PREVIEW | entered)
    said = text_in(answer.text)
    assert answer.status_code == 200
    assert "This is how the row shows it. Nothing was saved, and it cannot be pressed here." in said
    assert "ada reboots core1" in said
    assert "Group Power:" in said
    assert "Class warning" in said
    assert "You, ada: no." in said
    assert "Members of alice: 1 login (alice)." in said
    assert "Members of nobody: there is no such role." in said
    assert "<fieldset disabled>" in answer.text
    assert "delay" in said
    assert definition(db) is None


async def test_a_label_may_ask_what_the_person_may_do(console: Starlette, db: Connection, job: str) -> None:
    text = "{% if user.has_perm('dcim.view_device') and not user.is_superuser %}{{ user.groups[0] }}{% endif %}"
    answer = await submitted(console, "ada", "/buttons/new", **PREVIEW | {"text": text})
    assert ">rowhooks_admin<" in answer.text


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ({"text": "{% if obj.name == 'other' %}Reboot{% endif %}"}, "The button is not shown on this row"),
        ({"text": "{{ obj.nothing }}"}, "Cannot be pressed the text cannot be rendered"),
        ({"roles": "ada"}, "You, ada: yes."),
        ({"roles": "public"}, "Every role (public)."),
        ({"roles": "", "text": "Go"}, "Cannot be pressed you may not press it"),
    ],
)  # fmt: skip
async def test_a_preview_says_what_keeps_the_button_from_being_pressed(
    console: Starlette, job: str, entered: dict[str, Any], said: str
) -> None:
    answer = await submitted(console, "ada", "/buttons/new", **PREVIEW | entered)
    assert said in text_in(answer.text)


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"preview_key": ""}, "Name the table and the key of a row."),
        ({"preview_key": "99"}, "there is no row 99 in dcim.device, or you may not see it"),
        ({"preview_table": "dcim.nothing"}, "dcim.nothing"),
        ({"preview_key": "no number"}, "invalid input syntax for type integer"),
    ],
)
async def test_a_row_that_is_not_there_is_said_beside_the_key(
    console: Starlette, job: str, entered: dict[str, Any], message: str
) -> None:
    answer = await submitted(console, "ada", "/buttons/new", **PREVIEW | entered)
    assert answer.status_code == 422
    assert message in problem_of(answer.text, "preview_key")


async def test_a_preview_reads_the_row_with_the_rights_of_the_person(
    console: Starlette, db: Connection, job: str
) -> None:
    db.execute("revoke select on dcim.device from alice")
    answer = await submitted(console, "alice", "/buttons/new", **PREVIEW)
    assert answer.status_code == 403
    assert "core1" not in answer.text


async def test_names_labels_and_rows_are_inert(console: Starlette, db: Connection, job: str) -> None:
    db.execute("update dcim.device set name = %s", (EVIL,))
    add_button(db, EVIL, job=JOB, tables=["dcim.device"], text=EVIL, group_name=EVIL)
    path = str(console.url_path_for("button", name=EVIL))
    async with logged_in(console, "ada") as browser:
        pages = [(await browser.get(address)).text for address in ("/buttons", path, f"{path}/edit")]
        previews = [
            (await browser.submit("/buttons/new", **PREVIEW | {"text": text})).text
            for text in ("{{ obj.name }}", "<script>alert('label')</script><b onclick=alert(1)>bold</b>")
        ]
    assert EVIL in text_in(pages[0])
    assert EVIL in text_in(previews[0])
    assert "onclick" not in previews[1].split("On dcim.device")[1]
    assert all(is_inert(page) for page in (*pages, *previews))
