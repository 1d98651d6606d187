"""The inputs that Python gives to a press are what the receiver's model reads again, with pydantic and without it."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import AnyUrl, BaseModel, Field, SecretStr, TypeAdapter, computed_field

from rowhooks.domain.input_values import inputs_as_json
from rowhooks.postgres.pressing import press_many

UTC = datetime.UTC


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: decimal.Decimal


class Order(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Dog()
    password: SecretStr = SecretStr("none")
    codes: list[SecretStr] = []
    price: decimal.Decimal = decimal.Decimal(1)
    ratio: float | None = None
    read: int = Field(1, validation_alias="READ")
    written: int = Field(1, serialization_alias="WRITTEN")

    @computed_field
    def twice(self) -> int:
        return self.read * 2


def test_a_model_is_read_again_as_it_was() -> None:
    given = {"password": "s3cret", "codes": ["a"], "price": decimal.Decimal("1E+2"), "READ": 3, "written": 4}
    order = Order.model_validate({"pet": Cat(), **given})
    text = inputs_as_json(order)
    assert text is not None
    assert json.loads(text) == {**given, "pet": {"kind": "cat", "lives": 9}, "price": "100"}
    assert Order.model_validate_json(text) == order


VALUES: list[tuple[Any, Any]] = [
    (decimal.Decimal("-1.50"), "-1.50"),
    (decimal.Decimal("1E+2"), "100"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    (datetime.datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None), "2026-01-02T00:00:00"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.time(3), "03:00:00"),
    (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    (Colour.RED, "red"),
    (b"abc", "abc"),
    ((1, 2), [1, 2]),
    ({1}, [1]),
    ({"a": {1: Cat(lives=1)}}, {"a": {"1": {"kind": "cat", "lives": 1}}}),
    (Point(1, decimal.Decimal(2)), {"x": 1, "y": "2"}),
    (SecretStr("s3cret"), "s3cret"),
    (AnyUrl("https://acme.example/"), "https://acme.example/"),
]


@pytest.mark.parametrize(("value", "written"), VALUES, ids=repr)
def test_values_are_written_in_the_forms_that_pydantic_reads(value: Any, written: Any) -> None:
    assert json.loads(inputs_as_json({"x": value}) or "") == {"x": written}


@pytest.mark.parametrize("seconds", ["0", "90061.5", "-3600", "-0.000001"])
def test_durations_are_read_again_as_they_were(seconds: str) -> None:
    duration = datetime.timedelta(seconds=float(seconds))
    text = json.loads(inputs_as_json({"x": duration}) or "")["x"]
    assert TypeAdapter(datetime.timedelta).validate_python(text) == duration


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": math.nan}, "input x is nan, which JSON cannot hold"),
        ({"x": [{"y": decimal.Decimal("Infinity")}]}, "input x.y is Infinity, which JSON cannot hold"),
        ({"x": {"y": object()}}, "input x.y is a object, which JSON cannot hold"),
        (Order.model_validate({"ratio": math.inf}), "ratio is inf, which JSON cannot hold"),
        (5, "inputs are a mapping of names to values, or a pydantic model, not int"),
    ],
)
def test_what_would_be_lost_is_refused(inputs: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        inputs_as_json(inputs)


@pytest.mark.parametrize("keys", ["42", b"42", {"id": 42}])
def test_one_key_is_no_list_of_keys(keys: Any) -> None:
    with pytest.raises(TypeError, match="keys are a list of keys, not one"):
        press_many(None, "Reboot", "dcim.device", keys, None, None)


def test_a_mapping_is_written_without_pydantic() -> None:
    program = (
        "import sys; sys.modules.update(pydantic=None, pydantic_core=None, sqlalchemy=None, psycopg=None)\n"
        "from decimal import Decimal\n"
        "from rowhooks.postgres.pressing import inputs_as_json\n"
        "print(inputs_as_json({'size': 3, 'price': Decimal('1.50')}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"size": 3, "price": "1.50"}
