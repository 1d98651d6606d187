"""What a form asks for a job's inputs, from the JSON schemas that pydantic writes."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import psycopg
import pytest
from pydantic import BaseModel, Field, SecretStr

from rowhooks.web.forms.input_fields import fields_of

Connection = psycopg.Connection[Any]


KINDS = {
    "long text": "text", "secret": "password", "integer": "number", "list": "json", "choices": "json",
    "checkbox": "choice", "checkbox or nothing": "choice",
}  # fmt: skip
"""What the console's own form has where other pages have less: its kinds of fields, and theirs."""


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Inner(BaseModel):
    depth: int


class Node(BaseModel):
    """It refers to itself."""

    children: list[Node] = []
    parent: Node | None = None


def fields(db: Connection, schema: Any) -> list[dict[str, Any]]:
    found = db.execute("select rowhooks.input_fields(%s)", (json.dumps(schema),)).fetchone()
    assert found is not None
    assert isinstance(found[0], list)
    return found[0]


def schema_of(annotation: Any, *default: Any) -> dict[str, Any]:
    """Return the schema of a model that takes one input."""
    namespace = {"__annotations__": {"it": annotation}, **({"it": default[0]} if default else {})}
    model: type[BaseModel] = type("Inputs", (BaseModel,), namespace)
    return model.model_json_schema()


def field(db: Connection, annotation: Any, *default: Any) -> dict[str, Any]:
    """Return the field of a model that takes one input."""
    [found] = fields(db, schema_of(annotation, *default))
    return found


@pytest.mark.parametrize(
    ("annotation", "kind", "options"),
    [
        (str, "text", None),
        (SecretStr, "password", None),
        (datetime.date, "date", None),
        (datetime.datetime, "text", None),
        (int, "number", None),
        (float, "number", None),
        (Decimal, "text", None),
        (bool, "choice", [True, False]),
        (Literal["a", "b"], "choice", ["a", "b"]),
        (Literal[3], "choice", [3]),
        (Colour, "choice", ["red", "green"]),
        (list[str], "json", None),
        (dict[str, int], "json", None),
        (Inner, "json", None),
    ],
)
def test_a_type_is_asked_for_by_a_field_of_its_kind(db: Connection, annotation: Any, kind: str, options: Any) -> None:
    for given in (annotation, annotation | None, Annotated[annotation, Field(description="About it")]):
        found = field(db, given)
        assert (found["kind"], found["options"]) == (kind, options), given
    assert found["description"] == "About it"


@pytest.mark.parametrize(
    "annotation",
    [
        str, SecretStr, datetime.date, datetime.datetime, int, float, Decimal, bool, Literal["a", "b"], Literal[3],
        Colour, list[str], list[Colour], list[Inner], dict[str, int], Inner, int | str, int | Inner, str | Inner,
        int | Colour, int | bool,
        Annotated[str, Field(max_length=4000)],
    ],
)  # fmt: skip
def test_the_console_asks_for_the_same_as_other_pages(db: Connection, annotation: Any) -> None:
    for given in (annotation, annotation | None, Annotated[annotation, Field(title="It", description="About it")]):
        [mine], theirs = fields_of(schema_of(given)), field(db, given)
        assert KINDS.get(mine.kind, mine.kind) == theirs["kind"], given
        assert (mine.name, mine.label, mine.description) == (theirs["name"], theirs["title"], theirs["description"])
        if mine.kind == "choice":
            assert [json.loads(choice) for choice, _ in mine.choices] == theirs["options"]


def test_a_field_has_a_title_and_a_value(db: Connection) -> None:
    assert field(db, Annotated[int, Field(title="How many")], 3) == {
        "name": "it", "title": "How many", "description": "", "kind": "number", "options": None, "value": 3,
        "is_required": True, "empty": None,
    }  # fmt: skip
    assert field(db, Colour, Colour.RED)["value"] == "red"
    assert field(db, bool, False)["value"] is False
    assert field(db, list[int], [1])["value"] == [1]


@pytest.mark.parametrize(
    ("annotation", "default", "is_required", "empty"),
    [
        # An input that must be given, and one that has something to be emptied.
        (int, (), True, None),
        (int, (3,), True, None),
        (Colour, (Colour.RED,), True, None),
        # An empty text is a text.
        (str, (), False, '""'),
        (str, ("by hand",), False, '""'),
        (int | None, (), False, "null"),
        (int | None, (3,), False, "null"),
        (str | None, ("by hand",), False, "null"),
        # Left out, so that the default counts.
        (int | None, (None,), False, None),
        (str | None, (None,), False, None),
    ],
)
def test_what_is_left_empty_is_given_so_that_no_default_stands_in_for_it(
    db: Connection, annotation: Any, default: Any, is_required: bool, empty: str | None
) -> None:
    found = field(db, annotation, *default)
    assert (found["is_required"], found["empty"]) == (is_required, empty)


def test_required_inputs_come_first_in_the_order_of_the_class(db: Connection) -> None:
    class Inputs(BaseModel):
        third: int
        first_of_all: int
        b: int = 1
        aa: int | None = None

    schema = Inputs.model_json_schema()
    assert [one["name"] for one in fields(db, schema)] == ["third", "first_of_all", "aa", "b"]


def test_inputs_come_in_the_order_that_the_schema_names(db: Connection) -> None:
    class Inputs(BaseModel):
        third: int
        b: int = 1
        first_of_all: int
        aa: int | None = None

    schema = {**Inputs.model_json_schema(), "x-order": ["third", "b", "gone", "first_of_all", "b", 1]}
    assert [one["name"] for one in fields(db, schema)] == ["third", "b", "first_of_all", "aa"]


def test_a_model_that_refers_to_itself_has_an_end(db: Connection) -> None:
    assert {one["name"]: one["kind"] for one in fields(db, Node.model_json_schema())} in (
        {"children": "json", "parent": "json"}, {},
    )  # fmt: skip
    schema = {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert [one["kind"] for one in fields(db, schema)] == ["json"]


@pytest.mark.parametrize(
    "schema",
    [
        {}, [], "x", None, {"properties": []}, {"properties": {"a": True}}, {"properties": {}, "required": {}},
    ],
)  # fmt: skip
def test_a_schema_without_inputs_has_no_fields(db: Connection, schema: Any) -> None:
    assert fields(db, schema) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": 1}, {"anyOf": {}}, {"$ref": "nowhere"}, {"$ref": 1}, {"anyOf": [1, None, "x"]}, {"title": [1]},
        {"description": {}}, {"format": []}, {"type": ["integer", "null"]},
    ],
)  # fmt: skip
def test_what_cannot_be_read_of_a_schema_is_asked_for_as_json(db: Connection, schema: Any) -> None:
    [found] = fields(db, {"properties": {"a": schema}, "required": ["a", 3]})
    assert (found["kind"], found["is_required"]) == ("json", True)


def test_a_job_that_takes_nothing_has_no_fields(db: Connection) -> None:
    assert db.execute("select rowhooks.input_fields(null)").fetchone() == ([],)
