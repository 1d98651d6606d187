"""What tests/faults/sabotage.py takes away is still there, and so are the tests that are to miss it."""

from __future__ import annotations

import pytest

from tests.faults.sabotage import ROOT, SABOTAGES, Sabotage


@pytest.mark.parametrize("one", SABOTAGES, ids=lambda one: one.mechanism)
def test_what_is_taken_away_is_there_once_and_the_test_is_too(one: Sabotage) -> None:
    assert (ROOT / one.file).read_text("utf-8").count(one.old) == 1
    file, _, name = one.test.partition(" ")
    assert f"def test_{name}(" in (ROOT / "tests" / file).read_text("utf-8")


def test_the_documentation_names_each_of_them() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    missing = [one for one in SABOTAGES if one.mechanism not in text or one.test.partition(" ")[2] not in text]
    assert missing == []
