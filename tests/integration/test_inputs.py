"""Inputs of a press reach the receiver, as its own model, whatever happens to the run on the way."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Annotated, Any, ClassVar, Literal

import psycopg
import pytest
from pydantic import AliasPath, BaseModel, ConfigDict, Field, RootModel, field_validator
from pydantic_core import core_schema

import rowhooks
from rowhooks import JobButtonReceiver, JobHookReceiver
from rowhooks.domain.errors import InvalidInputs, ReceiverError
from rowhooks.receivers.inputs import inputs_of, schema_of, validated_inputs
from rowhooks.testing import Rehearsal
from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Resize(JobButtonReceiver):
    """Takes a size, and fails as often as it is told."""

    class Inputs(BaseModel):
        size: Annotated[int, Field(ge=1)]
        price: decimal.Decimal = decimal.Decimal(0)
        colour: Literal["red", "green"] | None = None
        failures: int = 0

        @field_validator("price")
        @classmethod
        def _is_even(cls, value: decimal.Decimal) -> decimal.Decimal:
            if value % 2:
                raise ValueError("odd")
            return value

    class Meta:
        max_retries = 3
        retry_backoff = 0

    inputs: Inputs
    seen: ClassVar[list[Any]] = []

    def receive_job_button(self, obj: Any) -> str:
        self.seen.append((self.inputs.size, self.inputs.price, self.inputs.colour))
        if self.job_result.attempt <= self.inputs.failures:
            raise RuntimeError("again")
        return f"{obj.name} {self.inputs.size}"

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self.seen.append(self.inputs.size)


class ResizeLater(JobButtonReceiver):
    class Inputs(BaseModel):
        size: int = 7

    async def receive_job_button(self, obj: Any) -> int:
        assert isinstance(self.inputs, self.Inputs)
        return self.inputs.size


class Plain(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> None:
        assert self.inputs is None


class Order(JobButtonReceiver):
    """Presses another button with what it was given itself."""

    class Inputs(BaseModel):
        size: int

    def receive_job_button(self, obj: Any) -> Any:
        return rowhooks.press(
            self.session,
            "Resize",
            "dcim.device",
            obj.id,
            inputs=Resize.Inputs(size=self.inputs.size, price=decimal.Decimal(2)),
        )


class OrderLater(JobButtonReceiver):
    async def receive_job_button(self, obj: Any) -> Any:
        return await rowhooks.press_many(self.session, "Resize", "dcim.device", [obj.id], inputs={"size": 5})


class OrderOnChange(JobHookReceiver):
    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        return rowhooks.press(self.session, "Resize", "dcim.device", changed_object.id, inputs={"size": 6})


class Secret(JobButtonReceiver):
    class Inputs(BaseModel):
        password: Annotated[str, Field(max_length=20)]

        @field_validator("password")
        @classmethod
        def _is_good(cls, value: str) -> str:
            if value == "hunter2":
                raise ValueError(f"{value} is known to everybody")
            return value

    class Meta:
        has_sensitive_variables = True

    def receive_job_button(self, obj: Any) -> None:
        assert self.inputs.password == "s3cret"


@pytest.fixture(autouse=True)
def _nothing_seen_yet() -> None:
    Resize.seen.clear()


@pytest.fixture
def rows(db: Connection, device: str) -> str:
    db.execute("insert into dcim.device values (1, 'sw1', 'A'), (2, 'sw2', 'B'), (3, 'sw3', 'C')")
    return device


def results(db: Connection, columns: str = "status, exception_message") -> list[Any]:
    found = db.execute(f"select {columns} from rowhooks.results order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def give_schema(db: Connection, job: Any) -> None:
    db.execute(
        "update rowhooks.job set inputs_schema = %s where class_path like %s",
        (json.dumps(schema_of(job, job.Inputs)), f"%{job.__name__}"),
    )


async def test_inputs_reach_the_receiver_at_each_attempt_and_its_life_cycle(
    db: Connection, daemon_dsn: str, rows: str
) -> None:
    add_button(db, Resize, rows)
    async with running_daemon(daemon_dsn, Resize):
        result = rowhooks.press(
            db, "Resize", rows, 1, inputs={"size": 3, "price": decimal.Decimal("1.50") * 4, "failures": 1}
        )
        await settled(db)
    assert results(db, "id, status, result, inputs, attempt") == [
        (result, "SUCCESS", "sw1 3", {"size": 3, "price": "6.00", "failures": 1}, 2)
    ]
    assert Resize.seen == [(3, decimal.Decimal("6.00"), None)] * 2 + [3]


async def test_a_job_with_optional_inputs_is_pressed_without_any(db: Connection, daemon_dsn: str, rows: str) -> None:
    add_button(db, ResizeLater, rows)
    add_button(db, Plain, rows)
    async with running_daemon(daemon_dsn, ResizeLater, Plain):
        rowhooks.press(db, "ResizeLater", rows, 1)
        rowhooks.press(db, "ResizeLater", rows, 1, inputs={"size": 8})
        rowhooks.press(db, "Plain", rows, 1, inputs={})
        await settled(db)
    assert results(db, "status, result") == [("SUCCESS", 7), ("SUCCESS", 8), ("SUCCESS", None)]


async def test_what_the_database_cannot_check_fails_the_run_with_the_fields_message(
    db: Connection, daemon_dsn: str, rows: str
) -> None:
    add_button(db, Resize, rows)
    async with running_daemon(daemon_dsn, Resize):
        rowhooks.press(db, "Resize", rows, 1, inputs={"size": 3, "price": 3})
        await settled(db)
    # Once: another attempt would not take them either.
    assert results(db, "status, attempt, exception_type, exception_message") == [
        ("FAILURE", 1, "rowhooks.domain.errors.InvalidInputs", "price: Value error, odd")
    ]
    assert Resize.seen == []


async def test_the_schema_is_stored_and_follows_the_class(db: Connection, daemon_dsn: str, rows: str) -> None:
    async def stored(*jobs: type) -> list[Any]:
        async with running_daemon(daemon_dsn, *jobs):
            return db.execute("select inputs_schema from rowhooks.job order by class_path").fetchall()

    [(schema,), (none,)] = await stored(ResizeLater, Plain)
    assert none is None or schema is None
    schema = schema or none
    assert schema["properties"]["size"] == {"default": 7, "title": "Size", "type": "integer"}
    assert schema["additionalProperties"] is False

    class Inputs(BaseModel):
        model_config = ConfigDict(extra="allow")
        is_large: bool = False
        colour: str

    changed = type("ResizeLater", (ResizeLater,), {"Inputs": Inputs, "__module__": ResizeLater.__module__})
    [(schema,), _] = sorted(await stored(changed, Plain), key=lambda row: row == (None,))
    assert sorted(schema["properties"]) == ["colour", "is_large"]
    # In which forms ask for them.
    assert schema["x-order"] == ["is_large", "colour"]
    assert schema["additionalProperties"] is True


async def test_a_press_that_an_older_class_took_fails_with_the_fields_message(
    db: Connection, daemon_dsn: str, rows: str
) -> None:
    for job in (Resize, ResizeLater, Plain):
        add_button(db, job, rows)
    db.execute("update rowhooks.job set inputs_schema = '{}'")
    rowhooks.press(db, "Resize", rows, 1, inputs={"size": 0, "colour": "blue"})
    rowhooks.press(db, "ResizeLater", rows, 1, inputs={"size": 1, "sise": 2})
    rowhooks.press(db, "Plain", rows, 1, inputs={"size": 1})
    async with running_daemon(daemon_dsn, Resize, ResizeLater, Plain):
        await settled(db)
    assert results(db) == [
        (
            "FAILURE",
            "size: Input should be greater than or equal to 1; colour: Input should be 'red' or 'green'",
        ),
        ("FAILURE", "sise: Extra inputs are not permitted"),
        ("FAILURE", "the press gave inputs, and the receiver takes none (press without inputs)"),
    ]


@pytest.mark.parametrize("status", ["PENDING", "STARTED"])
async def test_inputs_survive_a_leader_that_ends(db: Connection, daemon_dsn: str, rows: str, status: str) -> None:
    add_button(db, Resize, rows)
    give_schema(db, Resize)
    rowhooks.press(db, "Resize", rows, 1, inputs={"size": 3})
    db.execute(
        "update rowhooks.job_result set status = %s, leader_epoch = %s, started_at = now()", (status, uuid.uuid4())
    )
    async with running_daemon(daemon_dsn, Resize):
        await settled(db)
    assert results(db, "status, result, inputs") == [("SUCCESS", "sw1 3", {"size": 3})]


async def test_a_run_that_is_run_again_has_the_inputs(db: Connection, daemon_dsn: str, rows: str) -> None:
    add_button(db, Resize, rows)
    async with running_daemon(daemon_dsn, Resize):
        first = rowhooks.press(db, "Resize", rows, 1, inputs={"size": 3})
        await settled(db)
        db.execute("select rowhooks.retry(%s)", (first,))
        await settled(db)
    assert results(db, "status, result, inputs") == [("SUCCESS", "sw1 3", {"size": 3})] * 2


async def test_a_press_waits_with_its_inputs_for_a_daemon_that_has_the_class(
    db: Connection, daemon_dsn: str, rows: str
) -> None:
    add_button(db, Resize, rows)
    give_schema(db, Resize)
    async with running_daemon(daemon_dsn, Plain):
        rowhooks.press(db, "Resize", rows, 1, inputs={"size": 3})
    async with running_daemon(daemon_dsn, Resize):
        await settled(db)
    assert results(db, "status, inputs") == [("SUCCESS", {"size": 3})]


async def test_a_receiver_presses_another_button_and_inputs_and_user_go_on(
    db: Connection, daemon_dsn: str, rows: str
) -> None:
    for job in (Order, OrderLater, Resize):
        add_button(db, job, rows)
    add_hook(db, OrderOnChange, rows, actions="update")
    db.execute("select set_config('rowhooks.user', 'postgres', false)")
    async with running_daemon(daemon_dsn, Order, OrderLater, OrderOnChange, Resize):
        rowhooks.press(db, "Order", rows, 1, inputs={"size": 4})
        await settled(db)
        rowhooks.press(db, "OrderLater", rows, 2)
        await settled(db)
        db.execute("update dcim.device set serial = 'X' where id = 3")
        await settled(db)
    found = results(db, "button_name, status, inputs, user_name, batch_id is not null, object_id ->> 'id'")
    assert [row for row in found if row[0] == "Resize"] == [
        ("Resize", "SUCCESS", {"size": 4, "price": "2"}, "postgres", False, "1"),
        ("Resize", "SUCCESS", {"size": 5}, "postgres", True, "2"),
        ("Resize", "SUCCESS", {"size": 6}, "postgres", False, "3"),
    ]


async def test_a_press_of_a_receiver_that_fails_is_none(db: Connection, daemon_dsn: str, rows: str) -> None:
    class OrderBadly(JobButtonReceiver):
        def receive_job_button(self, obj: Any) -> None:
            rowhooks.press(self.session, "Resize", "dcim.device", obj.id, inputs={"size": 1})
            rowhooks.press(self.session, "Resize", "dcim.device", obj.id, inputs={"size": 0})

    for job in (OrderBadly, Resize):
        add_button(db, job, rows)
    async with running_daemon(daemon_dsn, OrderBadly, Resize):
        rowhooks.press(db, "OrderBadly", rows, 1)
        await settled(db)
    [(status, message)] = results(db)
    assert status == "FAILURE"
    assert "button Resize does not take these inputs: size: must be at least 1" in message


async def test_secrets_are_given_to_the_run_and_kept_nowhere(db: Connection, daemon_dsn: str, rows: str) -> None:
    add_button(db, Secret, rows)
    async with running_daemon(daemon_dsn, Secret):
        with pytest.raises(psycopg.errors.InvalidParameterValue) as caught:
            rowhooks.press(db, "Secret", rows, 1, inputs={"password": "correct horse battery"})
        assert "horse" not in str(caught.value)
        rowhooks.press(db, "Secret", rows, 1, inputs={"password": "s3cret"})
        rowhooks.press(db, "Secret", rows, 1, inputs={"password": "hunter2"})
        await settled(db)
    assert results(db, "status, inputs") == [("SUCCESS", None), ("FAILURE", None)]
    kept = db.execute(
        "select r::text from rowhooks.job_result as r union all select e::text from rowhooks.job_log_entry e"
    )
    assert not any(secret in row for (row,) in kept for secret in ("s3cret", "hunter2"))


async def test_a_press_of_several_rows_is_followed_as_one(
    db: Connection, daemon_dsn: str, rows: str, capsys: pytest.CaptureFixture[str], dsn: str
) -> None:
    add_button(db, Resize, rows)
    run = Rowhooks(capsys, dsn)
    async with running_daemon(daemon_dsn, Resize):
        batch = rowhooks.press_many(db, "Resize", rows, [1, {"id": 2}, "3"], inputs={"size": 2})
        await settled(db)
    assert db.execute(
        "select row_count, finished, states from rowhooks.batches where id = %s", (batch,)
    ).fetchall() == [(3, 3, {"SUCCESS": 3})]
    assert run("results", "show", batch, "--json").json["states"] == {"SUCCESS": 3}
    followed = run("results", "show", batch, "--follow")
    assert (followed.code, "row count" in followed.out) == (0, True)
    assert len(run("results", "list", "--batch", batch, "--json").json) == 3


# The command line


@pytest.fixture
def run(db: Connection, rows: str, capsys: pytest.CaptureFixture[str], dsn: str) -> Rowhooks:
    add_button(db, Resize, rows)
    give_schema(db, Resize)
    return Rowhooks(capsys, dsn)


def test_inputs_are_given_by_name_or_as_json(db: Connection, run: Rowhooks) -> None:
    assert run("press", "Resize", "dcim.device", 1, "--input", "size=3", "--input", "price=2.50").code == 0
    assert run("buttons", "press", "Resize", "dcim.device", 1, "--inputs", '{"size": 4, "colour": null}').code == 0
    assert results(db, "inputs") == [{"size": 3, "price": "2.50"}, {"size": 4, "colour": None}]
    shown = run("results", "show", results(db, "id")[0])
    assert "size=3, price=2.50" in shown.out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--input", "size"], 2, "'size' is no input"),
        (["--input", "size=1", "--input", "size=2"], 2, "input size is given twice"),
        (["--input", "size=1", "--inputs", "{}"], 2, "--input and --inputs exclude each other"),
        (["--inputs", "{"], 2, "--inputs is no JSON"),
        (["--inputs", "[" * 100_000], 2, "--inputs is no JSON"),
        (["--inputs", "[]"], 2, "--inputs is no JSON object"),
        (["--input", "size=large"], 1, "size: expected integer, not string"),
        (["--input", "size=1", "--input", "colour=blue"], 1, 'colour: must be one of ["red", "green"]'),
        (["--input", "sise=1"], 1, "size is missing"),
        ([], 1, "size is missing"),
    ],
)
def test_wrong_inputs_are_named(run: Rowhooks, options: list[str], code: int, message: str) -> None:
    done = run("press", "Resize", "dcim.device", 1, *options)
    assert done.code == code
    assert message in done.err


def test_several_keys_are_one_press(db: Connection, run: Rowhooks, tmp_path: Any) -> None:
    first = run("press", "Resize", "dcim.device", 1, 2, "--input", "size=3").out.strip()
    keys = tmp_path / "keys"
    keys.write_text("1\n\n2\n3\n")
    second = run("press", "Resize", "dcim.device", "--keys-from", keys, "--input", "size=4", "--json").json["id"]
    assert db.execute("select id::text, row_count from rowhooks.batches order by id").fetchall() == [
        (first, 2), (str(second), 3),
    ]  # fmt: skip
    db.execute("create table dcim.label (name text primary key)")
    db.execute("insert into dcim.label values (%s), ('b')", ("a\u2028b\x0c",))
    db.execute("select rowhooks.track('dcim.label')")
    assert run("buttons", "edit", "Resize", "--add-table", "dcim.label").code == 0
    keys.write_text("\ufeffa\u2028b\x0c\r\nb", newline="")
    done = run("press", "Resize", "dcim.label", "--keys-from", keys, "--input", "size=1")
    assert (done.code, done.err) == (0, "")
    keys.write_text("1\n2\n")
    pending = run("results", "show", first)
    assert "PENDING=2" in pending.out
    for wrong in ([], ["1", "--keys-from", keys]):
        assert "give either keys or --keys-from" in run("press", "Resize", "dcim.device", *wrong).err
    assert run("results", "show", 999999).code == 1


def test_jobs_say_what_they_take(run: Rowhooks) -> None:
    [listed] = run("jobs", "list", "--json").json
    assert listed["inputs"] == [
        "size: integer, required", "price: number or string", "colour: string or null", "failures: integer",
    ]  # fmt: skip
    assert "size: integer, required" in run("jobs", "show", "Resize").out
    shown = run("buttons", "for", "dcim.device", 1, "--json").json
    assert shown[0]["inputs_schema"]["required"] == ["size"]


# Without a daemon


def test_the_kit_gives_inputs_to_a_receiver(kit: Rehearsal) -> None:
    row = {"id": 1, "name": "sw1"}
    table = "kit.thing"
    kit.execute("create schema kit")
    kit.execute("create table kit.thing (id integer primary key, name text)")
    report = kit.press_button(Resize, table=table, row=row, inputs={"size": 3})
    assert (report.status, report.result) == ("SUCCESS", "sw1 3")
    failed = kit.press_button(Resize, table=table, key=1, inputs={"size": 0})
    assert failed.status == "FAILURE"
    assert str(failed.exception).endswith("InvalidInputs: size: Input should be greater than or equal to 1")


class Loose(BaseModel):
    anything: type


class Rude:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        raise KeyError("boom")


class Raising(BaseModel):
    anything: Rude


class Hidden(BaseModel):
    first: int = Field(1, validation_alias=AliasPath("all", 0))


@pytest.mark.parametrize(
    ("base", "inputs", "message"),
    [
        (JobButtonReceiver, Raising, "Inputs has no JSON schema: 'boom'"),
        (JobButtonReceiver, Hidden, "Inputs.first is found by an AliasPath"),
        (JobButtonReceiver, 5, "is no pydantic.BaseModel with fields"),
        (JobButtonReceiver, RootModel[int], "is no pydantic.BaseModel with fields"),
        (JobButtonReceiver, Loose, "has no JSON schema"),
        (JobHookReceiver, Loose, "declares Inputs, but a change has none"),
    ],
)
def test_a_class_that_is_no_inputs_is_refused_when_it_is_registered(base: type, inputs: Any, message: str) -> None:
    methods = {name: lambda self, **given: None for name in ("receive_job_hook", "receive_job_button")}
    cls = type("Odd", (base,), {"Inputs": inputs, **methods})
    with pytest.raises(ReceiverError, match=message):
        rowhooks.register_jobs(cls)


class Boundless(BaseModel):
    limit: Annotated[float, Field(le=math.inf)] = math.inf
    limits: list[float] = [1, math.inf]
    text: str = "a\0b"


async def test_a_default_that_json_cannot_hold_is_not_in_the_schema(db: Connection, daemon_dsn: str, rows: str) -> None:
    class Bounded(ResizeLater):
        Inputs: Any = Boundless

        async def receive_job_button(self, obj: Any) -> bool:
            assert self.inputs == Boundless()
            return True

    add_button(db, Bounded, rows)
    async with running_daemon(daemon_dsn, Bounded, Plain):
        rowhooks.press(db, "Bounded", rows, 1)
        await settled(db)
    assert results(db, "status, result") == [("SUCCESS", True)]


class Days(BaseModel):
    days: list[datetime.date]


def test_a_message_names_some_of_thousands_of_fields() -> None:
    with pytest.raises(InvalidInputs) as caught:
        validated_inputs(Days, {}, json.dumps({"days": ["never"] * 5000}))
    assert str(caught.value).count("days.") == 20
    assert str(caught.value).endswith("; and 4980 more")


def test_a_hook_receiver_may_have_another_attribute_of_that_name() -> None:
    assert inputs_of(type("Odd", (JobHookReceiver,), {"Inputs": 5}), is_button=False) is None
