"""ObjectChange: what receivers are told about a row."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rowhooks.domain.change import differing_columns
from tests.support.make import change

OLD = {"id": 1, "name": "sw1", "serial": "SN1"}
NEW = {"id": 1, "name": "sw1", "serial": "SN2"}


def test_the_snapshots_of_an_update_hold_only_the_columns_that_differ() -> None:
    assert change(action="update", before=OLD, after=NEW).get_snapshots() == {
        "prechange": OLD,
        "postchange": NEW,
        "differences": {"removed": {"serial": "SN1"}, "added": {"serial": "SN2"}},
    }


def test_the_snapshots_of_a_create_add_the_whole_row_and_remove_nothing() -> None:
    assert change(action="create", after=NEW).get_snapshots() == {
        "prechange": None,
        "postchange": NEW,
        "differences": {"removed": None, "added": NEW},
    }


def test_the_snapshots_of_a_delete_remove_the_whole_row_and_add_nothing() -> None:
    assert change(action="delete", before=OLD).get_snapshots() == {
        "prechange": OLD,
        "postchange": None,
        "differences": {"removed": OLD, "added": None},
    }


def test_a_change_whose_rows_could_not_be_captured_has_empty_snapshots() -> None:
    assert change(action="update").get_snapshots() == {
        "prechange": None,
        "postchange": None,
        "differences": {"removed": None, "added": None},
    }


def test_a_column_that_does_not_stand_in_both_rows_counts_as_changed_where_a_part_could_not_be_captured() -> None:
    one = change(before={"id": 1, "note": "a"}, after={"id": 1, "name": "sw1"}, capture_error="column photo: too large")
    assert [one.changed(column) for column in ("id", "note", "name", "photo")] == [False, True, True, True]
    assert one.changed_columns == ["name", "note"]


def test_a_column_that_stands_in_no_row_has_not_changed_where_all_was_captured() -> None:
    assert not change(before=OLD, after=NEW).changed("photo")


@pytest.mark.parametrize(
    ("action", "data"),
    [("create", NEW), ("update", NEW), ("delete", OLD)],
)
def test_object_data_is_the_row_after_or_before_it_for_a_delete(action: str, data: dict[str, object]) -> None:
    one = change(action=action, before=None if action == "create" else OLD, after=None if action == "delete" else NEW)
    assert one.object_data == data


def test_changed_says_which_columns_an_update_changed() -> None:
    one = change(before=OLD, after=NEW)
    assert one.changed("serial")
    assert not one.changed("name")
    assert not one.changed("no such column")


@pytest.mark.parametrize(("action", "row"), [("create", "after"), ("delete", "before")])
def test_every_column_has_changed_in_a_create_or_a_delete(action: str, row: str) -> None:
    one = change(action=action, before=OLD if row == "before" else None, after=NEW if row == "after" else None)
    assert all(one.changed(column) for column in OLD)
    assert not one.changed("no such column")


def test_a_numeric_that_differs_beyond_a_floats_precision_has_changed() -> None:
    one = change(
        prechange_json='{"price": 0.12345678901234567891}', postchange_json='{"price": 0.12345678901234567892}'
    )
    assert one.changed("price")
    assert list(one.get_snapshots()["differences"]["added"]) == ["price"]


@pytest.mark.parametrize(("before", "after"), [("true", "1"), ("[0]", "[false]"), ('"1"', "1")])
def test_json_values_of_different_kinds_differ(before: str, after: str) -> None:
    assert change(prechange_json=f'{{"data": {before}}}', postchange_json=f'{{"data": {after}}}').changed("data")


def test_a_number_written_differently_is_the_same() -> None:
    assert not change(prechange_json='{"price": 1.50}', postchange_json='{"price": 1.5}').changed("price")


def test_columns_that_only_one_row_has_differ() -> None:
    assert differing_columns({"a": 1, "dropped": None}, {"a": 1, "added": None}) == ["added", "dropped"]


def test_differing_columns_keep_the_order_of_the_row() -> None:
    assert differing_columns({"c": 1, "b": 1, "a": 1}, {"c": 2, "b": 1, "a": 2}) == ["c", "a"]


def test_without_rows_no_column_differs() -> None:
    assert differing_columns(None, None) == []


def test_a_copy_is_equal_and_shares_no_decoded_row() -> None:
    original = change(before=OLD, after=NEW)
    assert original.postchange == NEW
    copy = original.copy()
    assert copy == original
    assert copy.postchange is not None
    copy.postchange["serial"] = "altered"
    copy.changed_object_id["id"] = 99
    assert original.postchange == NEW
    assert original.changed_object_id == {"id": 1}
    assert original.copy().postchange == NEW


def test_a_copy_keeps_the_decoder() -> None:
    one = change(after=NEW, decoder=lambda table, data: {"table": table, "data": data})
    assert one.copy().after == {"table": "dcim.device", "data": json.dumps(NEW)}


def test_rows_with_python_types_come_from_the_decoder() -> None:
    one = change(before=OLD, after=NEW, decoder=lambda _table, data: {"decoded": data})
    assert one.before == {"decoded": json.dumps(OLD)}
    assert one.after == {"decoded": json.dumps(NEW)}


def test_a_change_cannot_be_altered() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        change().action = "create"  # type: ignore[misc]
