"""The state of a hook, button or job, in words."""

from __future__ import annotations

from typing import Any

import pytest

from rowhooks.web.wording.states import state_of_job, state_of_origin

WELL: dict[str, Any] = {
    "enabled": True, "job": "a.B", "job_enabled": True, "installed": True, "tables": ["s.t"], "waits_for": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ({}, ["enabled"]),
        ({"enabled": False}, ["disabled"]),
        ({"job_enabled": False}, ["enabled", "starts nothing: its job a.B is disabled"]),
        ({"installed": False}, ["enabled", "its runs wait: the leader does not have the class of job a.B"]),
        ({"job_enabled": False, "installed": False}, ["enabled", "starts nothing: its job a.B is disabled"]),
        ({"waits_for": ["s.u"]}, ["enabled", "waits for table s.u"]),
        ({"waits_for": ["s.u", "s.v"], "tables": []}, ["enabled", "waits for tables s.u, s.v"]),
        ({"tables": []}, ["enabled", "is on no table"]),
        ({"missed": 1234}, ["enabled", "1,234 changes were not kept for it"]),
        ({"missed": None}, ["enabled"]),
    ],
)
def test_a_hook_says_whether_it_starts_anything_and_if_not_why(different: dict[str, Any], said: list[str]) -> None:
    assert [state.text for state in state_of_origin(WELL | different)] == said


def test_a_job_says_whether_it_is_enabled_and_whether_its_class_is_there() -> None:
    assert [state.text for state in state_of_job({"enabled": True, "installed": True})] == ["enabled"]
    assert [state.text for state in state_of_job({"enabled": False, "installed": False})] == [
        "disabled", "class not installed: the present or last leader does not have it",
    ]  # fmt: skip
