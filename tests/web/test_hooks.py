"""Hooks in the console: listed with their state in words, added, edited, enabled, disabled, removed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.administration.hooks import add_hook
from tests.support.configuring import EVIL, add_job, field_of, is_inert, problem_of, text_in
from tests.support.console import logged_in, submitted

Connection = psycopg.Connection[Any]
JOB = "policies.Serials"
FORM: dict[str, Any] = {
    "name": "serials", "job": JOB, "tables": ["dcim.device"], "actions": ["create", "update"], "columns": "serial",
    "ignored_columns": "", "conditions": "", "on_undecided": "run", "enabled": "yes", "act": "save",
}  # fmt: skip


@pytest.fixture
def job(console: Starlette, db: Connection, device: str) -> str:
    db.execute("grant usage on schema dcim to ada")
    add_job(db, JOB, description="Keeps serials as they are.")
    return JOB


@pytest.fixture
def hook(db: Connection, job: str) -> str:
    add_hook(db, "serials", job=job, tables=["dcim.device"], actions=["update"], columns=["serial"])
    return "serials"


def definition(db: Connection, name: str) -> tuple[Any, ...] | None:
    return db.execute(
        "select h.type_create, h.type_update, h.type_delete, h.columns, h.conditions, h.on_undecided, h.enabled"
        " from rowhooks.job_hook as h where h.name = %s",
        (name,),
    ).fetchone()


@pytest.mark.parametrize("kind", ["hook", "button"])
async def test_where_there_is_none_yet_the_page_says_what_it_takes(console: Starlette, kind: str) -> None:
    async with logged_in(console, "ada") as browser:
        listed, form = [(await browser.get(f"/{kind}s{path}")).text for path in ("", "/new")]
    assert f"There is no {kind}. A {kind} needs a job , which a running daemon has found" in text_in(listed)
    assert '<a href="/jobs">job</a>' in listed
    assert f"There is no job for a {kind} yet." in text_in(form)
    assert "rowhooks track SCHEMA.TABLE" in text_in(form)


async def test_hooks_are_listed_with_their_state_in_words(console: Starlette, db: Connection, hook: str) -> None:
    add_job(db, "policies.Off", enabled=False)
    add_job(db, "policies.Gone", installed=False)
    add_hook(db, "of a disabled job", job="policies.Off", tables=["dcim.device"], actions=["update"])
    add_hook(db, "of a missing job", job="policies.Gone", tables=["dcim.device"], actions=["update"], enabled=False)
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    add_hook(db, "of a table that is gone", job=JOB, tables=["dcim.rack"], actions=["create"])
    db.execute("drop table dcim.rack")
    async with logged_in(console, "alice") as browser:
        said = text_in((await browser.get("/hooks")).text)
    assert "of a disabled job enabled starts nothing: its job policies.Off is disabled" in said
    assert "of a missing job disabled its runs wait: the leader does not have the class of job policies.Gone" in said
    assert "of a table that is gone enabled waits for table dcim.rack" in said
    assert "serials enabled policies.Serials update dcim.device none" in said


async def test_the_last_runs_of_a_hook_are_counted_by_status(console: Starlette, db: Connection, hook: str) -> None:
    db.execute("grant select on dcim.device to alice; grant usage on schema dcim to alice")
    for status, count in (("SUCCESS", 3), ("FAILURE", 1)):
        db.execute(
            "insert into rowhooks.job_result (status, job_hook_id, hook_name, job_id, class_path, tracked_table,"
            " finished_at, exception_type, created_at)"
            " select %(status)s, h.id, h.name, h.job_id, %(job)s, t.id, now(), 'Error', now() - g.n * interval '1 hour'"
            " from rowhooks.job_hook as h cross join rowhooks.tracked_table as t"
            " cross join generate_series(1, %(count)s) as g (n)",
            {"status": status, "count": count, "job": JOB},
        )
    db.execute("update rowhooks.job_result set created_at = now() - interval '2 days' where status = 'FAILURE'")
    async with logged_in(console, "alice") as browser:
        assert "Runs of the last day SUCCESS 3" in text_in((await browser.get("/hooks/serials")).text)


async def test_a_hook_says_what_it_starts_on_which_job_and_where_it_is_declared(
    console: Starlette, db: Connection, hook: str
) -> None:
    db.execute("update rowhooks.job_hook set declared = true")
    async with logged_in(console, "ada") as browser:
        page = (await browser.get("/hooks/serials")).text
        refused = await browser.get("/hooks/serials/edit")
    assert "policies.Serials : Keeps serials as they are." in text_in(page)
    assert "in the code of policies.Serials (Meta.hooks); it can only be enabled and disabled here" in text_in(page)
    assert "/hooks/serials/enabled" in page
    assert "/hooks/serials/edit" not in page
    assert "/hooks/serials/remove" not in page
    assert refused.status_code == 409
    assert "hook serials is declared in the code of policies.Serials" in text_in(refused.text)


async def test_an_admin_adds_a_hook_with_all_that_it_enters(console: Starlette, db: Connection, job: str) -> None:
    async with logged_in(console, "ada") as browser:
        await browser.get("/hooks/new")
        answer = await browser.submit(
            "/hooks/new",
            follow=True,
            **FORM | {"conditions": '{"attr": "name", "value": 1.10}', "on_undecided": "skip"},
        )
    assert answer.status_code == 200, text_in(answer.text)
    assert answer.url.path == "/hooks/serials"
    assert "The hook was added." in text_in(answer.text)
    found = db.execute("select h.conditions::text from rowhooks.job_hook as h").fetchone()
    assert found == ('{"attr": "name", "value": 1.10}',)
    assert definition(db, "serials") == (
        True, True, False, ["serial"], {"attr": "name", "value": 1.1}, "skip", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entered", "field", "message"),
    [
        ({"name": " "}, "name", "Name the hook."),
        ({"job": ""}, "job", "Choose the job that it starts."),
        ({"job": "policies.Nothing"}, "job", "there is no job policies.Nothing"),
        ({"job": "policies.Button"}, "job", "cannot start job policies.Button: it is a button receiver"),
        ({"tables": []}, "tables", "Choose at least one table."),
        ({"tables": ["dcim.nothing"]}, "tables", "there is no table dcim.nothing"),
        ({"tables": ["dcim.plain"]}, "tables", "table dcim.plain is not tracked"),
        ({"actions": []}, "actions", "You must select at least one type: create, update, and/or delete."),
        ({"actions": ["truncate"]}, "actions", "There is no action truncate"),
        ({"columns": "seriel"}, "columns", "there is no column seriel in dcim.device (did you mean serial?"),
        ({"ignored_columns": "serial\nname"}, "ignored_columns", "it ignores all columns that it waits for"),
        ({"conditions": "{"}, "conditions", "conditions: not valid JSON"),
        ({"conditions": '{"and": [{"attr": "name", "op": "like", "value": 1}]}'}, "conditions",
         "conditions: and[0]: unknown op 'like'; known: eq"),
        ({"queue": "a b"}, "queue", "queue 'a b' is no name of a queue (a name has 1 to 63 letters, digits, "),
        ({"on_undecided": "perhaps"}, "on_undecided", "Choose from: run, skip."),
    ],
)  # fmt: skip
async def test_what_is_refused_is_said_beside_its_field_and_what_was_entered_is_kept(
    console: Starlette, db: Connection, job: str, entered: dict[str, Any], field: str, message: str
) -> None:
    add_job(db, "policies.Button", kind="button")
    db.execute("create table dcim.plain (id integer primary key)")
    answer = await submitted(console, "ada", "/hooks/new", **FORM | {"columns": "serial\nname"} | entered)
    assert answer.status_code == 422
    assert message in problem_of(answer.text, field)
    assert "Not saved. What you entered is still here." in text_in(answer.text)
    assert field_of(answer.text, "columns") == entered.get("columns", "serial\nname")
    assert definition(db, "serials") is None


@pytest.mark.parametrize("kind", ["hook", "button"])
async def test_the_queue_is_entered_shown_and_taken_away(
    console: Starlette, db: Connection, job: str, kind: str
) -> None:
    add_job(db, "buttons.Reboot", "button")
    of_button = {"job": "buttons.Reboot", "text": "Reboot", "weight": "1", "button_class": "default"}
    given = FORM | (of_button if kind == "button" else {})
    path = f"/{kind}s/serials"
    async with logged_in(console, "ada") as browser:
        await browser.get(f"/{kind}s/new")
        added = await browser.submit(f"/{kind}s/new", follow=True, **given | {"queue": "reports"})
        assert "Queue reports" in text_in(added.text)
        form = (await browser.get(f"{path}/edit")).text
        assert field_of(form, "queue") == "reports"
        changed = await browser.submit(
            f"{path}/edit", follow=True, **given | {"queue": " ", "seen": field_of(form, "seen")}
        )
        late = await browser.submit(f"{path}/edit", **given | {"queue": "x", "seen": field_of(form, "seen")})
    assert "Queue that of its job" in text_in(changed.text)
    assert db.execute(f"select queue from rowhooks.job_{kind}").fetchall() == [(None,)]
    assert f"{kind} serials was changed meanwhile" in text_in(late.text)


async def test_a_hook_that_repeats_another_one_is_refused_above_the_form(
    console: Starlette, db: Connection, hook: str
) -> None:
    async with logged_in(console, "ada") as browser:
        await browser.get("/hooks/new")
        answer = await browser.submit("/hooks/new", **FORM | {"name": "again"})
        taken = await browser.submit("/hooks/new", **FORM | {"columns": "name"})
    assert "A job hook already exists for update on dcim.device to job policies.Serials" in text_in(answer.text)
    assert "It is hook serials." in text_in(answer.text)
    assert "a hook named serials exists already" in problem_of(taken.text, "name")


async def test_an_edit_changes_what_differs_and_nothing_else(console: Starlette, db: Connection, hook: str) -> None:
    db.execute("create table dcim.rack (id integer primary key, serial text)")
    db.execute("select rowhooks.track('dcim.rack')")
    async with logged_in(console, "ada") as browser:
        form = (await browser.get("/hooks/serials/edit")).text
        assert field_of(form, "columns") == "serial"
        answer = await browser.submit(
            "/hooks/serials/edit",
            follow=True,
            **FORM
            | {"name": "new name", "tables": ["dcim.device", "dcim.rack"], "seen": field_of(form, "seen"),
               "conditions": '{"attr": "serial", "value": 1}'},
        )  # fmt: skip
    assert answer.status_code == 200, text_in(answer.text)
    assert answer.url.path == "/hooks/new name"
    assert "The hook was changed." in text_in(answer.text)
    assert "Tables dcim.device , dcim.rack" in text_in(answer.text)
    assert definition(db, "new name") == (True, True, False, ["serial"], {"attr": "serial", "value": 1}, "run", True)


async def test_a_hook_that_was_changed_meanwhile_is_not_overwritten(
    console: Starlette, db: Connection, hook: str
) -> None:
    async with logged_in(console, "ada") as browser:
        seen = field_of((await browser.get("/hooks/serials/edit")).text, "seen")
        db.execute("update rowhooks.job_hook set columns = '{name}'")
        answer = await browser.submit("/hooks/serials/edit", **FORM | {"seen": seen, "ignored_columns": "name"})
    assert answer.status_code == 422
    assert "hook serials was changed meanwhile" in text_in(answer.text)
    assert field_of(answer.text, "ignored_columns") == "name"
    assert definition(db, "serials") == (False, True, False, ["name"], None, "run", True)


async def test_a_table_that_is_gone_is_ticked_to_be_left(console: Starlette, db: Connection, hook: str) -> None:
    db.execute("create table dcim.rack (id integer primary key, serial text)")
    db.execute("select rowhooks.track('dcim.rack')")
    async with logged_in(console, "ada") as browser:
        form = (await browser.get("/hooks/serials/edit")).text
        both = FORM | {"tables": ["dcim.device", "dcim.rack"], "actions": ["update"]}
        await browser.submit("/hooks/serials/edit", **both | {"seen": field_of(form, "seen")})
        db.execute("drop table dcim.rack")
        form = (await browser.get("/hooks/serials/edit")).text
        sent = FORM | {"actions": ["update"], "no_tables": "dcim.rack", "seen": field_of(form, "seen")}
        answer = await browser.submit("/hooks/serials/edit", follow=True, **sent)
    assert answer.status_code == 200, text_in(answer.text)
    assert "Tables dcim.device Starts on" in text_in(answer.text)


async def test_an_operator_enables_and_disables_and_changes_nothing_else(
    console: Starlette, db: Connection, hook: str
) -> None:
    async with logged_in(console, "oscar") as browser:
        page = (await browser.get("/hooks/serials")).text
        assert "/hooks/serials/edit" not in page
        assert "/hooks/serials/remove" not in page
        answer = await browser.submit("/hooks/serials/enabled", follow=True, enabled="no")
        assert "The hook was disabled." in text_in(answer.text)
        assert definition(db, "serials") == (False, True, False, ["serial"], None, "run", False)
        await browser.submit("/hooks/serials/enabled", enabled="yes")
        removal = await browser.submit("/hooks/serials/remove")
        addition = await browser.submit("/hooks/new", **FORM | {"name": "another", "columns": "name"})
    assert definition(db, "serials") == (False, True, False, ["serial"], None, "run", True)
    assert removal.status_code == addition.status_code == 403
    assert field_of(addition.text, "columns") == "name"
    assert definition(db, "another") is None


async def test_a_viewer_sees_no_act_and_a_forged_one_is_refused(console: Starlette, db: Connection, hook: str) -> None:
    async with logged_in(console, "alice") as browser:
        page = (await browser.get("/hooks/serials")).text
        answers = [
            await browser.submit("/hooks/serials/enabled", enabled="no"),
            await browser.submit("/hooks/serials/remove"),
            await browser.submit("/hooks/new", **FORM | {"name": "another", "columns": "name"}),
        ]
    assert "/hooks/serials/enabled" not in page
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert definition(db, "serials") == (False, True, False, ["serial"], None, "run", True)
    assert definition(db, "another") is None


async def test_a_hook_of_a_disabled_job_is_not_enabled_and_the_reason_is_said(
    console: Starlette, db: Connection, hook: str
) -> None:
    db.execute("update rowhooks.job_hook set enabled = false")
    db.execute("update rowhooks.job set enabled = false")
    async with logged_in(console, "oscar") as browser:
        await browser.get("/hooks/serials")
        answer = await browser.submit("/hooks/serials/enabled", enabled="yes")
    assert answer.status_code in (409, 422)
    assert "hook serials cannot be enabled: its job policies.Serials is disabled" in text_in(answer.text)
    assert "rowhooks jobs enable policies.Serials" in text_in(answer.text)


async def test_removing_a_hook_asks_first_and_says_what_is_lost(console: Starlette, db: Connection, hook: str) -> None:
    async with logged_in(console, "ada") as browser:
        page = (await browser.get("/hooks/serials")).text
        said = "Remove hook serials? Its definition is lost. 0 of its runs have not ended"
        assert said in text_in(page)
        answer = await browser.submit("/hooks/serials/remove", follow=True)
        again = await browser.submit("/hooks/serials/remove")
    assert "The hook was removed." in text_in(answer.text)
    assert definition(db, "serials") is None
    assert again.status_code in (404, 422)


async def test_names_descriptions_and_conditions_are_inert(console: Starlette, db: Connection, device: str) -> None:
    add_job(db, JOB, description=EVIL)
    conditions = {"attr": "name", "value": EVIL}
    add_hook(db, EVIL, job=JOB, tables=["dcim.device"], actions=["update"], conditions=conditions)
    async with logged_in(console, "ada") as browser:
        listing = (await browser.get("/hooks")).text
        path = str(console.url_path_for("hook", name=EVIL))
        pages = [listing, *[(await browser.get(f"{path}{rest}")).text for rest in ("", "/edit", "/try")]]
        pages.append(
            (await browser.submit("/hooks/new", **FORM | dict.fromkeys(("name", "columns", "conditions"), EVIL))).text
        )
    assert path in listing
    assert EVIL in text_in(pages[1])
    assert all(is_inert(page) for page in pages)


@pytest.mark.parametrize("name", ["new", "a/b", "50% #1?", "..", "x/edit"])
async def test_a_hook_of_any_name_has_a_page(console: Starlette, db: Connection, job: str, name: str) -> None:
    add_hook(db, name, job=job, tables=["dcim.device"], actions=["update"])
    path = str(console.url_path_for("hook", name=name))
    async with logged_in(console, "ada") as browser:
        assert f'href="{path}"' in (await browser.get("/hooks")).text
        assert f"Hook {name}" in text_in((await browser.get(path)).text)
        answer = await browser.submit(f"{path}/enabled", follow=True, enabled="no")
    assert "The hook was disabled." in text_in(answer.text)


async def test_many_hooks_are_listed_on_pages_that_follow_each_other(
    console: Starlette, db: Connection, job: str
) -> None:
    db.execute(
        "insert into rowhooks.job_hook (name, job_id, type_create, conditions)"
        " select 'hook ' || to_char(g.n, 'FM000'), j.id, true, to_jsonb(json_build_object('attr', 'a', 'value', g.n))"
        " from rowhooks.job as j cross join generate_series(1, 120) as g (n)"
    )
    async with logged_in(console, "alice") as browser:
        first = await browser.get("/hooks")
        second = await browser.get("/hooks?after=hook+050")
        last = await browser.get("/hooks?after=hook+100")
    assert "hook 050" in first.text
    assert "hook 051" not in first.text
    assert 'href="/hooks?after=hook+050"' in first.text
    assert "hook 051" in second.text
    assert "Next page" not in last.text
    assert len(first.content) < 100_000
