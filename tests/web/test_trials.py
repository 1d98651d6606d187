"""Conditions tried against past changes before they are saved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.names import TableName
from rowhooks.postgres.administration.hooks import add_hook
from rowhooks.postgres.console.hooks import HookWanted
from rowhooks.postgres.console.trials import Past
from rowhooks.web.acts.trials import PATIENCE, SHOWN, hook_of, try_hook
from tests.support.configuring import EVIL, add_job, field_of, is_inert, problem_of, text_in, without_tokens
from tests.support.console import logged_in, submitted

Connection = psycopg.Connection[Any]
FORM: dict[str, Any] = {
    "tables": ["dcim.device"], "actions": ["create", "update", "delete"], "columns": "", "ignored_columns": "",
    "on_undecided": "run", "act": "try",
}  # fmt: skip


@pytest.fixture
def history(console: Starlette, db: Connection, device: str) -> None:
    """A device that is created, renamed twice and deleted; and a hook receiver's change, which starts nothing."""
    db.execute("grant usage on schema dcim to alice; grant select on dcim.device to alice")
    db.execute("insert into dcim.device values (1, 'core1', 'A1')")
    db.execute("update dcim.device set name = 'core2'")
    db.execute("update dcim.device set serial = 'B2'")
    db.execute("delete from dcim.device")


@pytest.mark.usefixtures("history")
class TestOnTheForm:
    async def test_it_says_how_many_changes_would_start_the_hook_and_why_others_would_not(
        self, console: Starlette, db: Connection
    ) -> None:
        async with logged_in(console, "alice") as browser:
            await browser.get("/hooks/new")
            conditions = '{"attr": "name", "value": "core2"}'
            answer = await browser.submit("/hooks/new", **FORM | {"actions": ["update"], "conditions": conditions})
        said = text_in(answer.text)
        assert answer.status_code == 200
        assert "2 of 4 changes would start it." in said
        assert "Nothing was saved, and nothing ran." in said
        assert "it does not start on create, only on update" in said
        assert "it does not start on delete, only on update" in said
        assert field_of(answer.text, "conditions") == conditions
        assert db.execute("select count(*) from rowhooks.job_hook").fetchone() == (0,)

    async def test_a_comparison_that_does_not_hold_is_named_with_what_stands_in_the_row(
        self, console: Starlette
    ) -> None:
        answer = await submitted(
            console, "alice", "/hooks/new", **FORM | {"conditions": '{"attr": "serial", "value": "B2"}'}
        )
        assert 'conditions: serial eq "B2" does not hold (it is "A1")' in text_in(answer.text)
        assert "Would start it: 2" in text_in(answer.text)
        assert "Would not start it: 2" in text_in(answer.text)

    @pytest.mark.parametrize(
        ("on_undecided", "starts", "what"),
        [("run", 4, "these start it, because on_undecided is run"),
         ("skip", 0, "these do not start it, because on_undecided is skip")],
    )  # fmt: skip
    async def test_what_cannot_be_decided_is_told_apart(
        self, console: Starlette, on_undecided: str, starts: int, what: str
    ) -> None:
        async with logged_in(console, "alice") as browser:
            await browser.get("/hooks/new")
            given = {"conditions": '{"attr": "name", "op": "gt", "value": 1}', "on_undecided": on_undecided}
            answer = await browser.submit("/hooks/new", **FORM | given)
        said = text_in(answer.text)
        assert f"{starts} of 4 changes would start it." in said
        assert f"For 4 the conditions cannot be decided; {what}." in said
        assert "Cannot be decided: 4" in said
        assert "name gt: a string and a number cannot be put in order" in said
        assert "Would start it:" not in said
        assert "Would not start it:" not in said

    async def test_malformed_conditions_are_refused_beside_the_field(self, console: Starlette) -> None:
        answer = await submitted(
            console, "alice", "/hooks/new", **FORM | {"conditions": '{"attr": "name", "op": "like"}'}
        )
        assert answer.status_code == 422
        assert "unknown op 'like'" in problem_of(answer.text, "conditions")
        assert "Tried against past changes" not in text_in(answer.text)

    async def test_neither_name_nor_job_is_needed_but_a_table_is(self, console: Starlette) -> None:
        answer = await submitted(console, "alice", "/hooks/new", **FORM | {"tables": []})
        assert problem_of(answer.text, "tables") == "Choose at least one table."
        assert problem_of(answer.text, "name") == problem_of(answer.text, "job") == ""

    async def test_a_column_that_the_person_may_not_read_decides_nothing_and_is_not_shown(
        self, console: Starlette, db: Connection
    ) -> None:
        db.execute("revoke select on dcim.device from alice; grant select (id, name) on dcim.device to alice")
        answer = await submitted(
            console, "alice", "/hooks/new", **FORM | {"conditions": '{"attr": "serial", "value": "A1"}'}
        )
        assert "For 4 the conditions cannot be decided" in text_in(answer.text)
        assert "(it is" not in text_in(answer.text)
        assert "B2" not in without_tokens(answer.text)

    async def test_rows_that_row_security_hides_are_not_looked_at(self, console: Starlette, db: Connection) -> None:
        db.execute("insert into dcim.device values (2, 'seen', null), (3, 'hidden', null)")
        db.execute("alter table dcim.device enable row level security")
        db.execute("create policy seen on dcim.device to alice using (name = 'seen')")
        answer = await submitted(console, "alice", "/hooks/new", **FORM)
        assert "1 of 1 changes would start it." in text_in(answer.text)
        assert "hidden" not in text_in(answer.text)

    async def test_a_person_that_may_not_read_the_table_sees_no_change(
        self, console: Starlette, db: Connection
    ) -> None:
        db.execute("revoke select on dcim.device from alice")
        answer = await submitted(console, "alice", "/hooks/new", **FORM)
        assert "0 of 0 changes would start it." in text_in(answer.text)
        assert "There is no such change." in text_in(answer.text)

    async def test_values_of_rows_are_inert(self, console: Starlette, db: Connection) -> None:
        db.execute("insert into dcim.device values (2, %s, null)", (EVIL,))
        answer = await submitted(
            console, "alice", "/hooks/new", **FORM | {"conditions": '{"attr": "name", "value": "core2"}'}
        )
        assert "does not hold (it is" in text_in(answer.text)
        assert is_inert(answer.text)


@pytest.mark.usefixtures("history")
async def test_a_hook_that_is_saved_is_tried_as_it_is(console: Starlette, db: Connection) -> None:
    add_job(db, "policies.Serials")
    add_hook(db, "serials", job="policies.Serials", tables=["dcim.device"], actions=["update"], columns=["serial"])
    db.execute("alter table dcim.device rename column serial to serial_number")
    async with logged_in(console, "alice") as browser:
        said = text_in((await browser.get("/hooks/serials/try")).text)
    assert "1 of 4 changes would start it." in said
    assert "the update changes none of its columns" in said


def test_no_further_change_is_looked_at_when_the_time_is_over() -> None:
    wanted = HookWanted("", "", ("t",), ("create",))
    past = Past(frozenset({1}), tuple(change(id_) for id_ in range(100)))
    times = iter([0.0, *(PATIENCE * n / 10 for n in range(100))])
    trial = try_hook(hook_of(wanted, past, None), past, clock=lambda: next(times))
    assert trial.is_cut
    assert trial.looked_at == trial.starts == 11


def test_of_many_changes_the_newest_are_shown_and_all_are_counted() -> None:
    wanted = HookWanted("", "", ("t",), ("create",))
    past = Past(frozenset({1}), tuple(change(id_) for id_ in range(100, 0, -1)))
    trial = try_hook(hook_of(wanted, past, None), past)
    assert trial.starts == 100
    assert [verdict.change.id for verdict in trial.starting] == list(range(100, 100 - SHOWN, -1))


def change(id_: int) -> ObjectChange:
    return ObjectChange(
        id_, 1, datetime.now(UTC), "create", 1, TableName("s.t"), '{"id": 1}', "one", None, '{"id": 1}', "alice"
    )
