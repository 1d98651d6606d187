"""Columns that were renamed, in what hooks ask for."""

from __future__ import annotations

from typing import Any

import pytest

from rowhooks.domain.renaming import columns_in, names_of, with_columns, without_columns

NESTED = {
    "and": [
        {"attr": "serial", "op": "in", "value": [{"attr": "serial"}]},
        {"not": {"attr": "old.serial.part", "op": "changed"}},
        {"or": [{"attr": "name", "value": "serial"}, {"attr": "new.serial", "value": 1}]},
    ]
}


def test_a_column_is_looked_for_under_its_present_name_first_and_under_all_that_it_has_had() -> None:
    names = {"a": "c", "b": "c", "x": "y"}
    assert names_of("a", names) == ("c", "a", "b")
    assert names_of("c", names) == ("c", "a", "b")
    assert names_of("other", names) == ("other",)


def test_every_comparison_is_renamed_and_no_value() -> None:
    renamed = with_columns(NESTED, lambda column: {"serial": "number"}.get(column, column))
    assert renamed == {
        "and": [
            {"attr": "number", "op": "in", "value": [{"attr": "serial"}]},
            {"not": {"attr": "old.number.part", "op": "changed"}},
            {"or": [{"attr": "name", "value": "serial"}, {"attr": "new.number", "value": 1}]},
        ]
    }
    assert set(columns_in(NESTED)) == {"serial", "name"}
    assert list(columns_in(None)) == []


def test_a_column_that_is_called_like_a_row_is_not_taken_for_one() -> None:
    assert with_columns({"attr": "state", "value": 1}, lambda _: "old") == {"attr": "new.old", "value": 1}
    assert list(columns_in({"attr": "new.old", "value": 1})) == ["old"]


@pytest.mark.parametrize(("conditions", "left"), [
    (NESTED, {"and": [{"or": [{"attr": "name", "value": "serial"}]}]}),
    ({"not": {"attr": "old.serial", "value": 1}}, None),
    (None, None),
    ({"attr": "name", "value": 1}, {"attr": "name", "value": 1}),
])  # fmt: skip
def test_comparisons_of_a_column_that_is_gone_are_left_out(conditions: Any, left: Any) -> None:
    assert without_columns(conditions, "serial".__eq__) == left
