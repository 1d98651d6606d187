"""What tests/support/sabotage takes away is still there, and so are the tests that are to miss it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sabotage import EVERYTHING
from tests.support.sabotage.console import CONSOLE_DOORS
from tests.support.sabotage.guarantees import SABOTAGES
from tests.support.sabotage.mechanism import Sabotage
from tests.support.sabotage.security import CLOSED_DOORS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("one", EVERYTHING, ids=lambda one: one.mechanism)
def test_what_is_taken_away_is_there_and_the_test_is_too(one: Sabotage) -> None:
    one.breakage.check()
    file, _, name = one.test.partition(" ")
    assert f"def test_{name}(" in (ROOT / "tests" / file).read_text("utf-8")


def test_a_mechanism_is_named_once() -> None:
    named = [one.mechanism for one in EVERYTHING]
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    ("page", "mechanisms"), [("guarantees.md", SABOTAGES), ("security.md", [*CLOSED_DOORS, *CONSOLE_DOORS])]
)
def test_the_documentation_names_each_of_them(page: str, mechanisms: list[Sabotage]) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    missing = [one for one in mechanisms if one.mechanism not in text or one.test.partition(" ")[2] not in text]
    assert missing == []
