"""The inputs of a press are checked by the JSON schema of its job, as pydantic writes it."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Literal

import psycopg
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field

from tests.support.pressing import presses

Connection = psycopg.Connection[Any]


def problem(db: Connection, value: Any, schema: Any) -> str | None:
    row = db.execute(
        "select rowhooks.problem_of_input(%(value)s, %(schema)s, %(schema)s, null, 1)",
        {"value": Jsonb(value), "schema": Jsonb(schema)},
    ).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Rack(BaseModel):
    model_config = ConfigDict(extra="forbid")
    height: Annotated[int, Field(ge=1, le=48)]
    name: str | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: str


class Tree(BaseModel):
    label: str
    children: list[Tree] = []


CASES: list[tuple[Any, Any, str | None]] = [
    (int, 3, None),
    (int, 3.0, None),
    (int, 3.5, "x: expected integer, not number"),
    (int, "3", "x: expected integer, not string"),
    (int, True, "x: expected integer, not boolean"),
    (int, None, "x: expected integer, not null"),
    (int | None, None, None),
    (int | None, "a", "x: expected integer or null, not string"),
    (int | str, [], "x: expected integer or string, not array"),
    (float, 3, None),
    (bool, 0, "x: expected boolean, not number"),
    (str, "é" * 5, None),
    (Annotated[int, Field(ge=1)], 0, "x: must be at least 1"),
    (Annotated[int, Field(gt=1)], 1, "x: must be greater than 1"),
    (Annotated[int, Field(le=9)], 10, "x: must be at most 9"),
    (Annotated[int, Field(lt=9)], 9, "x: must be less than 9"),
    (Annotated[int | None, Field(ge=1)], 0, "x: must be at least 1"),
    (Annotated[int, Field(multiple_of=5)], 15, None),
    (Annotated[int, Field(multiple_of=5)], 16, "x: must be a multiple of 5"),
    (Annotated[float, Field(multiple_of=0.1)], 0.1 + 0.2, None),
    (Annotated[float, Field(multiple_of=0.1)], 0.35, "x: must be a multiple of 0.1"),
    (Annotated[str, Field(min_length=2)], "é", "x: must have at least 2 characters"),
    (Annotated[str, Field(max_length=2)], "éé", None),
    (Annotated[str, Field(max_length=2)], "abc", "x: must have at most 2 characters"),
    (Annotated[str, Field(pattern=r"^[A-Z]{2}-\d+$")], "SN-12", None),
    (Annotated[str, Field(pattern=r"^[A-Z]{2}-\d+$")], "SN-1x", r"x: must match ^[A-Z]{2}-\d+$"),
    # What is a digit or a letter differs: pydantic decides.
    (Annotated[str, Field(pattern=r"^\w+$")], "é!", None),
    (Annotated[str, Field(pattern=r"^\bx\b$")], "y", None),
    (Literal["a", 1], 1, None),
    (Literal["a", 1], "b", 'x: must be one of ["a", 1]'),
    (Literal["a"], "b", 'x: must be "a"'),
    (Colour, "red", None),
    (Colour, "blue", 'x: must be one of ["red", "green"]'),
    (decimal.Decimal, "1.50", None),
    (decimal.Decimal, 1.5, None),
    (decimal.Decimal, True, "x: expected number or string, not boolean"),
    (Annotated[decimal.Decimal, Field(ge=2)], 1, "x: must be at least 2.0"),
    (uuid.UUID, "no uuid", None),
    (datetime.date, "no date", None),
    (datetime.date, 5, "x: expected string, not number"),
    (list[int], [1, 2, "a"], "x[2]: expected integer, not string"),
    (Annotated[list[int], Field(min_length=1, max_length=2)], [], "x: must have at least 1 items"),
    (Annotated[list[int], Field(min_length=1, max_length=2)], [1, 2, 3], "x: must have at most 2 items"),
    (set[int], [1, 1], "x: must have no item twice"),
    (tuple[int, str], [1, "a"], None),
    (tuple[int, str], [1, 2], "x[1]: expected string, not number"),
    (tuple[int, str], [1], "x: must have at least 2 items"),
    (dict[str, int], {"a": 1, "b": "c"}, "x.b: expected integer, not string"),
    (dict[Annotated[str, Field(pattern="^[a-z]+$")], int], {"a": "c"}, "x.a: expected integer, not string"),
    (Rack, {"height": 48}, None),
    (Rack, {"height": 49}, "x.height: must be at most 48"),
    (Rack, {"name": "a"}, "x: height is missing"),
    (Rack, {"height": 1, "hight": 2}, "x.hight: is not allowed"),
    (list[Rack | None], [None, {"height": 0}], "x[1].height: must be at least 1"),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "dog", "bark": "w"}, None),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "dog"}, "x: bark is missing"),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "cat", "lives": 10}, "x.lives: must be at most 9"),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "cow"}, "x.kind: must be one of cat, dog"),
    (Annotated[Cat | Dog, Field(discriminator="kind")], 5, "x: expected object, not number"),
    (Tree, {"label": "a", "children": [{"label": "b"}, {}]}, "x.children[1]: label is missing"),
    (Tree, {"label": "a", "children": [{"label": "b", "children": [{"label": 1}]}]},
     "x.children[0].children[0].label: expected string, not number"),
    (pydantic.JsonValue, {"a": [1, None, {"b": True}]}, None),
    (Any, [1], None),
]  # fmt: skip


def test_a_value_is_checked_as_its_type_says(db: Connection) -> None:
    wrong = []
    for type_, value, expected in CASES:
        schema = pydantic.create_model("Inputs", x=(type_, ...)).model_json_schema()
        found = problem(db, {"x": value}, schema)
        if found != expected:
            wrong.append((type_, value, found, expected))
    assert wrong == []


class Everything(BaseModel):
    number: Annotated[int, Field(ge=-3, lt=9, multiple_of=3)] | None = None
    ratio: Annotated[float, Field(gt=0)] = 1.0
    amount: decimal.Decimal = decimal.Decimal(1)
    word: Annotated[str, Field(min_length=1, max_length=3, pattern="^[a-c]*$")] = "a"
    colour: Colour | Literal[7] = Colour.RED
    pair: tuple[int, str] = (1, "a")
    names: dict[Annotated[str, Field(pattern="^[a-b]+$")], bool] = {}
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    tree: Tree | None = None


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-6, 12), st.floats(-2, 2), st.text("abcé", max_size=4),
    st.sampled_from(["red", "blue", "1.5", "cat", "dog"]),
)  # fmt: skip
TREES = st.recursive(
    st.fixed_dictionaries({"label": st.just("a")}),
    lambda inner: st.fixed_dictionaries({"label": LEAVES, "children": st.lists(inner, max_size=2)}),
    max_leaves=3,
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "number": LEAVES, "ratio": LEAVES, "amount": LEAVES, "word": LEAVES, "colour": LEAVES,
        "pair": st.lists(LEAVES, max_size=3), "names": st.dictionaries(st.text("abc", max_size=2), LEAVES, max_size=2),
        "pet": st.fixed_dictionaries({"kind": LEAVES}, optional={"lives": LEAVES, "bark": LEAVES}), "tree": TREES,
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_what_pydantic_takes_without_converting_it_is_never_refused(db: Connection, value: dict[str, Any]) -> None:
    try:
        Everything.model_validate_json(json.dumps(value), strict=True)
    except pydantic.ValidationError:
        return
    assert problem(db, value, Everything.model_json_schema()) is None


# Schemas that no model of pydantic's has, but json_schema_extra


ODD: list[tuple[Any, Any, str | None]] = [
    ({"$ref": "#/$defs/missing"}, 1, None),
    ({"$ref": "elsewhere"}, 1, None),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, 1, "expected string, not number"),
    # A schema that is itself, without end.
    ({"$ref": "#"}, 1, None),
    ({"$ref": 5, "type": 7, "enum": 3, "required": "a", "properties": [], "items": [1], "anyOf": {}}, 1, None),
    ({"minimum": "3", "multipleOf": 0, "pattern": 5, "exclusiveMinimum": True}, 1, None),
    ({"type": "weird"}, 1, None),
    ({"type": ["integer", "string"]}, None, "expected integer or string, not null"),
    ({"if": {"type": "number"}, "then": False}, 1, None),
    ({"not": {"type": "number"}}, 1, 'must not fit {"type": "number"}'),
    ({"not": {"type": "number", "format": "odd"}}, 1, None),
    ({"allOf": [{"type": "number"}, {"minimum": 2}]}, 1, "must be at least 2"),
    ({"allOf": [{"type": "number"}, {"unknown": 2}], "maximum": 0}, 1, "must be at most 0"),
    ({"pattern": "("}, "a", None),
    ({"pattern": "^(a+)+$"}, "a" * 40 + "!", "must match ^(a+)+$"),
    ({"patternProperties": {"\\bx": {}}, "additionalProperties": False}, {"y": 1}, None),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"y": 1}, "y: is not allowed"),
    ({"patternProperties": [], "additionalProperties": {"type": "null"}}, {"y": 1}, "y: expected null, not number"),
    ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "ab: must have at most 1 characters"),
    ({"minProperties": 2}, {"a": 1}, "must have at least 2 names"),
    ({"maxProperties": 0}, {"a": 1}, "must have at most 0 names"),
    ({"prefixItems": [{}], "items": False}, [1, 2], "[1]: is not allowed"),
    (True, 1, None),
    (False, 1, "is not allowed"),
    ([], 1, None),
]  # fmt: skip


def test_what_is_not_known_refuses_nothing_and_what_is_known_still_does(db: Connection) -> None:
    found = [(schema, value, problem(db, value, schema)) for schema, value, _ in ODD]
    assert found == ODD


def test_a_deep_value_is_left_to_pydantic(db: Connection) -> None:
    value: Any = {"label": 5}
    for _ in range(200):
        value = {"label": "a", "children": [value]}
    assert problem(db, value, Tree.model_json_schema()) is None


# A press


class Inputs(BaseModel):
    size: Annotated[int, Field(ge=1)]
    name: str = ""


@pytest.fixture
def takes_size(db: Connection, button: int) -> None:
    schema = {**Inputs.model_json_schema(), "additionalProperties": False}
    db.execute("update rowhooks.job set inputs_schema = %s", (Jsonb(schema),))


def press(conn: Connection, inputs: str | None, **given: Any) -> Any:
    row = conn.execute(
        "select rowhooks.press('Reboot', 'shop.item', object_text => '42', inputs => %s, idempotency_key => %s)",
        (inputs, given.get("key")),
    ).fetchone()
    return row and row[0]


@pytest.mark.usefixtures("takes_size")
def test_inputs_are_recorded_with_the_run(db: Connection, clerk: Connection) -> None:
    result = press(clerk, '{"size": 3}')
    assert presses(db, "id, inputs") == [(result, {"size": 3})]
    assert db.execute("select inputs from rowhooks.results").fetchall() == [({"size": 3},)]


@pytest.mark.usefixtures("takes_size")
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "size is missing"),
        ("{}", "size is missing"),
        ("[]", "expected object, not array"),
        ("null", "expected object, not null"),
        ('{"size": 0}', "size: must be at least 1"),
        ('{"size": 1, "sise": 2}', "sise: is not allowed"),
    ],
)
def test_inputs_that_the_job_does_not_take_are_refused(
    db: Connection, clerk: Connection, inputs: str | None, message: str
) -> None:
    with pytest.raises(errors.InvalidParameterValue) as caught:
        press(clerk, inputs)
    assert caught.value.diag.message_primary == f"button Reboot does not take these inputs: {message}"
    assert presses(db) == []


def test_inputs_for_a_job_that_takes_none_are_refused(db: Connection, button: int, clerk: Connection) -> None:
    for inputs in ('{"size": 3}', "null", "[]"):
        with pytest.raises(errors.InvalidParameterValue, match=r"takes no inputs: its job jobs\.Reboot declares none"):
            press(clerk, inputs)
    press(clerk, None)
    press(clerk, "{}")
    assert presses(db, "inputs") == [None, None]


def test_a_job_with_optional_inputs_is_pressed_without_any(db: Connection, button: int, clerk: Connection) -> None:
    db.execute('update rowhooks.job set inputs_schema = \'{"properties": {"size": {"type": "integer"}}}\'')
    press(clerk, None)
    assert presses(db, "inputs") == [None]


@pytest.mark.usefixtures("takes_size")
def test_who_may_not_press_learns_nothing_of_the_inputs(db: Connection, clerk: Connection) -> None:
    db.execute("update rowhooks.job_button set roles = '{}'")
    with pytest.raises(errors.InsufficientPrivilege):
        press(clerk, '{"size": 0}')


def test_large_inputs_are_refused_by_their_text(db: Connection, button: int, clerk: Connection) -> None:
    db.execute("update rowhooks.job set inputs_schema = '{}'")
    press(clerk, json.dumps({"x": "a" * 60_000}))
    # Ten bytes of jsonb each, and a hundred thousand digits of text.
    digits = ", ".join(["1e100000"] * 20)
    for inputs in (json.dumps({"x": "a" * 70_000}), f'{{"x": [{digits}]}}'):
        with pytest.raises(errors.ProgramLimitExceeded, match="more than 64 kB"):
            press(clerk, inputs)
    assert len(presses(db)) == 1


@pytest.mark.usefixtures("takes_size")
def test_a_key_that_was_used_with_other_inputs_is_refused(db: Connection, clerk: Connection) -> None:
    first = press(clerk, '{"size": 3}', key="k")
    assert press(clerk, '{"size": 3.0}', key="k") == first
    with pytest.raises(errors.UniqueViolation, match="has been used for a press of button Reboot with other inputs"):
        press(clerk, '{"size": 4}', key="k")


@pytest.mark.usefixtures("takes_size")
def test_inputs_by_the_view_are_checked_alike(db: Connection, clerk: Connection) -> None:
    insert = (
        "insert into rowhooks.press (button, object_table, object_id, inputs) values ('Reboot', 'shop.item', '42', %s)"
    )
    clerk.execute(insert, ('{"size": 3}',))
    with pytest.raises(errors.InvalidParameterValue):
        clerk.execute(insert, ('{"size": "3"}',))
    assert presses(db, "inputs") == [{"size": 3}]


@pytest.mark.usefixtures("takes_size")
def test_a_reader_of_buttons_learns_what_they_take(clerk: Connection) -> None:
    [(schema,)] = clerk.execute("select inputs_schema from rowhooks.buttons").fetchall()
    assert schema["required"] == ["size"]


@pytest.mark.usefixtures("takes_size")
def test_a_retry_has_the_inputs_of_the_first_run(db: Connection, clerk: Connection) -> None:
    first = press(clerk, '{"size": 3}')
    end(db)
    db.execute("select rowhooks.retry(%s)", (first,))
    assert presses(db, "inputs") == [{"size": 3}] * 2


def end(db: Connection, status: str = "SUCCESS") -> None:
    db.execute("update rowhooks.job_result set status = %s, finished_at = now()", (status,))


# A job with sensitive variables


@pytest.fixture
def sensitive(db: Connection, takes_size: None) -> None:
    db.execute("update rowhooks.job set meta = '{\"has_sensitive_variables\": true}'")


@pytest.mark.usefixtures("sensitive")
@pytest.mark.parametrize("ending", ["SUCCESS", "REVOKED"])
def test_sensitive_inputs_are_there_for_the_run_and_for_nobody_else(
    db: Connection, clerk: Connection, ending: str
) -> None:
    first = press(clerk, '{"size": 3}')
    shown = "select inputs from rowhooks.results"
    assert (presses(db, "inputs"), db.execute(shown).fetchall()) == ([{"size": 3}], [(None,)])
    end(db, ending)
    assert (presses(db, "inputs::text"), db.execute(shown).fetchall()) == (["null"], [(None,)])
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="its inputs were not kept"):
        db.execute("select rowhooks.retry(%s)", (first,))


@pytest.mark.usefixtures("sensitive")
def test_sensitive_inputs_are_forgotten_where_the_job_is_gone(db: Connection, clerk: Connection) -> None:
    press(clerk, '{"size": 3}')
    db.execute("delete from rowhooks.job")
    assert db.execute("select inputs from rowhooks.results").fetchall() == [(None,)]
    end(db, "REVOKED")
    assert presses(db, "inputs::text") == ["null"]


@pytest.mark.usefixtures("sensitive")
def test_a_key_that_was_used_with_inputs_that_were_not_kept_is_the_same_press(
    db: Connection, clerk: Connection
) -> None:
    first = press(clerk, '{"size": 3}', key="k")
    end(db)
    assert press(clerk, '{"size": 4}', key="k") == first


# Named arguments, as PostgREST calls a function


@pytest.mark.parametrize(
    ("function", "given"),
    [
        ("press", {"object_id": 42}),
        ("press", {"object_id": {"id": 42}}),
        ("press", {"object_text": "42"}),
        ("press_many", {"keys": [42]}),
        ("press_many", {"keys": ["42"]}),
    ],
)
@pytest.mark.usefixtures("takes_size")
def test_functions_are_told_apart_by_the_names_of_their_arguments(
    db: Connection, clerk: Connection, function: str, given: dict[str, Any]
) -> None:
    body = {"button": "Reboot", "object_table": "shop.item", "inputs": {"size": 3}, **given}
    # PostgREST takes the function whose parameters have the names of the body, and those that it lacks have defaults.
    found = db.execute(
        "select string_agg(format('%%I %%s', a.name, a.type::regtype), ', ')"
        " from pg_proc as p cross join lateral unnest(p.proargnames, p.proargtypes::oid[]) as a (name, type)"
        " where p.pronamespace = 'rowhooks'::regnamespace and p.proname = %(function)s and a.name = any (%(names)s)"
        " and p.proargnames @> %(names)s group by p.oid",
        {"function": function, "names": list(body)},
    ).fetchall()
    assert len(found) == 1
    called = ", ".join(f"{name} => b.{name}" for name in body)
    clerk.execute(
        f"select rowhooks.{function}({called}) from json_to_record(%s) as b ({found[0][0]})", (json.dumps(body),)
    )
    assert presses(db, "object_id, inputs") == [({"id": 42}, {"size": 3})]


class Fork(BaseModel):
    """Two recursive choices that no tag tells apart."""

    left: Fork | Spoon | None = None


class Spoon(BaseModel):
    left: Fork | Spoon | None = None


class Even(BaseModel):
    kind: Literal["even"]
    inner: Annotated[Even | Odd, Field(discriminator="kind")] | None = None


class Odd(BaseModel):
    kind: Literal["odd"]
    inner: Annotated[Even | Odd, Field(discriminator="kind")] | None = None


def nested(levels: int, name: str, leaf: Any, **others: Any) -> Any:
    for _ in range(levels):
        leaf = {name: leaf, **others}
    return leaf


SLOW: list[tuple[Any, Any, str | None]] = [
    (Even, nested(15, "inner", {"kind": "odd", "inner": 5}, kind="even"), "inner: expected"),
    (Fork, nested(30, "left", 5), None),
    (Annotated[str, Field(pattern="^[ab]*c$")], "ab" * 30_000, "must match"),
    (Annotated[list[int], Field(max_length=9000)], list(range(9000)), None),
    (dict[str, int], {f"n{number}": number for number in range(4000)}, None),
]


@pytest.mark.parametrize(("kind", "value", "message"), SLOW, ids=range(len(SLOW)))
def test_a_check_takes_no_time_that_grows_with_each_level(
    db: Connection, kind: Any, value: Any, message: str | None
) -> None:
    schema = pydantic.TypeAdapter(kind).json_schema()
    db.execute("set statement_timeout = '20s'")
    found = problem(db, value, schema)
    assert found is None if message is None else message in (found or "")


def test_lookahead_over_a_long_text_is_left_to_pydantic(db: Connection) -> None:
    pattern = "(?=.*a)(?=.*b)(?=.*z).*$"
    db.execute("set statement_timeout = '20s'")
    assert problem(db, "ab" * 30_000, {"pattern": pattern}) is None
    assert problem(db, "ab" * 300, {"pattern": pattern}) == f"must match {pattern}"
