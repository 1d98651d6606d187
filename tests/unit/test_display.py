"""Text for people: nothing in it is obeyed, and it is not too long."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain import display, shell
from rowhooks.domain.display import LONG, MOST_LINES, SHORT, as_json, by_whom, lines, visible

ANY = st.text(alphabet=st.characters())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sw1", "sw1"),
        ("Zürich 東京 🙂", "Zürich 東京 🙂"),
        ("a\nb\r\tc\0", r"a\nb\r\tc\0"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x7f\x85\x9b", r"\x7f\x85\x9b"),
        ("user\u202etxt.exe\u2066\u200b\ufeff", r"user\u202etxt.exe\u2066\u200b\ufeff"),
        ("a\u2028b", r"a\u2028b"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        (None, "None"),
    ],
)
def test_what_a_terminal_would_obey_is_made_visible(text: object, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_whatever_comes_is_one_printable_line(text: str) -> None:
    assert visible(text).isprintable()
    assert all(line.isprintable() for line in lines(text).split("\n"))
    assert len(lines(text).split("\n")) == len(text.replace("\r\n", "\n").split("\n"))


def test_what_is_long_is_shortened_and_says_by_how_much() -> None:
    assert visible("x" * SHORT) == "x" * SHORT
    assert visible("x" * 1_000_000) == "x" * SHORT + "... (999,800 characters left out)"
    assert visible("x" * 1_000_000, None) == "x" * 1_000_000
    assert lines("x" * 10_000) == "x" * LONG + "... (6,000 characters left out)"
    long = lines("\n".join(map(str, range(100_000)))).split("\n")
    assert len(long) == MOST_LINES + 1
    assert long[-1] == "99999"
    assert long[MOST_LINES // 2] == "... (99,600 lines left out)"


def test_lines_are_indented_each_of_them() -> None:
    assert lines("a\n\nb\n2026-01-01 ERROR forged", "  ") == "  a\n  \n  b\n  2026-01-01 ERROR forged"


def test_values_are_json_and_text_is_itself() -> None:
    assert display.value("a\nb") == r"a\nb"
    assert display.value({"a": [1, "x\u202e"]}) == r'{"a": [1, "x\u202e"]}'
    assert display.value([[]] * 1000).endswith("characters left out)")


def test_the_login_comes_first_and_the_claim_is_marked_as_one() -> None:
    assert by_whom("app", None) == "app"
    assert by_whom("app", 'root"\n') == r'app, as "root"\n"'


@given(ANY, st.sampled_from([None, "ascii", "latin-1", "utf-8"]))
def test_json_means_the_same_and_can_be_printed_anywhere(text: str, encoding: str | None) -> None:
    document = {"text": [text], text: None}
    printed = as_json(json.dumps(document, ensure_ascii=False, indent=2), encoding)
    assert json.loads(printed) == document
    printed.encode(encoding or "utf-8")
    assert all(line.isprintable() for line in printed.split("\n"))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_word_of_a_command_is_printable_but_for_newlines_at_its_end(text: str) -> None:
    assert shell.word(text).rstrip("\n'").isprintable()
