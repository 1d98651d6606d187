"""What tests/faults/sabotage.py takes away is still there, and so are the tests that are to miss it."""

from __future__ import annotations

import pytest

from tests.faults.closed_doors import CLOSED_DOORS
from tests.faults.mechanism import Sabotage
from tests.faults.sabotage import ROOT, SABOTAGES


@pytest.mark.parametrize("one", SABOTAGES + CLOSED_DOORS, ids=lambda one: one.mechanism)
def test_what_is_taken_away_is_there_once_and_the_test_is_too(one: Sabotage) -> None:
    assert (ROOT / one.file).read_text("utf-8").count(one.old) == 1
    file, _, name = one.test.partition(" ")
    assert f"def test_{name}(" in (ROOT / "tests" / file).read_text("utf-8")


@pytest.mark.parametrize(("page", "mechanisms"), [("guarantees.md", SABOTAGES), ("security.md", CLOSED_DOORS)])
def test_the_documentation_names_each_of_them(page: str, mechanisms: list[Sabotage]) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    missing = [one for one in mechanisms if one.mechanism not in text or one.test.partition(" ")[2] not in text]
    assert missing == []
