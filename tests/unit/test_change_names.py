"""The names of a change and of its table that people know from Nautobot."""

from __future__ import annotations

import json
import pickle

import pytest

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import TableName, join_name
from tests.support.make import change


@pytest.mark.parametrize(
    ("schema", "table", "text"),
    [
        ("dcim", "device", "dcim.device"),
        ("Odd schema", "Ta ble", "Odd schema.Ta ble"),
        ("acme.com", "user", '"acme.com".user'),
        ('"q', "a.b", '"""q"."a.b"'),
    ],
)
def test_a_tables_name_is_a_str_that_knows_its_parts(schema: str, table: str, text: str) -> None:
    name = join_name(schema, table)
    assert (name, name.app_label, name.model, name.name) == (text, schema, table, table)
    assert {text: 1}[name] == 1
    assert json.dumps([name]) == json.dumps([text])
    assert pickle.loads(pickle.dumps(name)).model == table


def test_a_table_that_is_no_more_has_a_name_and_no_schema() -> None:
    gone = TableName("rowhooks")
    assert (gone.app_label, gone.model) == ("", "rowhooks")


def test_the_text_of_a_change_says_nothing_of_its_row() -> None:
    one = change(17, before={"name": "secret"}, after={"name": "other"}, object_repr="secret")
    assert str(one) == repr(one) == f"{one}" == "<ObjectChange 17: update dcim.device>"


def test_pk_is_the_changes_own_id() -> None:
    assert change(17).pk == 17


def test_a_copy_of_a_change_does_not_share_its_row() -> None:
    one = change()
    vars(one)["changed_object"] = "the row"
    assert one.changed_object == "the row"
    with pytest.raises(ReceiverError, match="was not loaded"):
        one.copy().changed_object  # noqa: B018
