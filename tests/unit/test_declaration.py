"""rowhooks.Hook: what a receiver may declare."""

from __future__ import annotations

from typing import Any

import pytest

from rowhooks import Hook, table
from rowhooks.domain.errors import ReceiverError


def test_a_hook_is_declared_with_its_tables_and_starts_on_everything() -> None:
    declared = Hook("dcim.device", "dcim.rack", "dcim.device")
    assert (declared.tables, declared.actions) == (("dcim.device", "dcim.rack"), ("create", "update", "delete"))
    assert (declared.columns, declared.conditions_json, declared.name, declared.enabled) == ((), None, None, True)


def test_a_table_may_be_the_one_that_isinstance_knows() -> None:
    assert Hook(table("dcim.device")).tables == ("dcim.device",)


def test_conditions_become_json() -> None:
    declared = Hook("dcim.device", conditions={"attr": "name", "op": "in", "value": ("a", "b")})
    assert declared.conditions_json == '{"attr": "name", "op": "in", "value": ["a", "b"]}'


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ((), {}, "Hook() names no table"),
        (("device",), {}, "Hook('device'): a table is named with its schema"),
        (([],), {}, "Hook([]): a table is named with its schema"),
        (("dcim.device",), {"actions": ["updated"]}, "Hook('dcim.device'): unknown action 'updated'"),
        (("dcim.device",), {"actions": "update"}, "Hook(): actions is not a list of names"),
        (("dcim.device",), {"columns": "serial"}, "Hook(): columns is not a list of names"),
        (("dcim.device",), {"ignore_columns": "serial"}, "Hook(): ignore_columns is not a list of names"),
        (("dcim.device",), {"columns": [1]}, "Hook(): columns is not a list of names"),
        (("dcim.device",), {"queue": "a b"}, "Hook('dcim.device'): 'a b' is no name of a queue"),
        (("dcim.device",), {"queue": 3}, "Hook('dcim.device'): 3 is no name of a queue"),
        (("dcim.device",), {"name": ""}, "Hook('dcim.device'): a name is a string, and not empty"),
        (
            ("dcim.device",),
            {"conditions": {"attr": "name", "op": "equals", "value": 1}},
            "Hook('dcim.device'): conditions: unknown op 'equals'; known: ",
        ),
        (("dcim.device",), {"conditions": {"attr": {1}}}, "Hook('dcim.device'): conditions: JSON cannot hold them: "),
        (("dcim.device",), {"conditions": []}, "Hook('dcim.device'): conditions: expected an object, not an array"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(tables: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReceiverError) as refused:
        Hook(*tables, **options)
    assert refused.value.message.startswith(message)


def test_a_hook_may_name_the_queue_of_its_runs() -> None:
    assert (Hook("dcim.device", queue="reports").queue, Hook("dcim.device").queue) == ("reports", None)


def test_without_an_action_it_is_refused_as_everywhere() -> None:
    with pytest.raises(ReceiverError, match="You must select at least one type: create, update, and/or delete"):
        Hook("dcim.device", actions=[])
