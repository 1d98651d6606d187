"""JSON read and written whole."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain import exact

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part, max_size=4),
    max_leaves=20,
)
SPACES = st.sampled_from([None, 0, 2])


@given(JSON, SPACES)
def test_what_json_loads_reads_is_read_without_recursion_as_well(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert exact._read(text, float) == json.loads(text) == exact.read(text)
    assert exact.same(exact._read(text, Decimal), exact.read_exactly(text))


@given(JSON, SPACES)
def test_what_is_written_is_what_the_json_module_writes(value: Any, indent: int | None) -> None:
    assert exact.write(value, indent=indent or None) == json.dumps(value, ensure_ascii=False, indent=indent or None)


@given(JSON, JSON)
def test_the_same_is_pythons_equal_but_for_true_and_one(a: Any, b: Any) -> None:
    assert exact.same(a, a)
    if exact.same(a, b):
        assert a == b
    assert not exact.same({"x": [True]}, {"x": [1]})


@given(st.text(alphabet='[]{},:"\\ 0123456789.eE+-truefalsn', max_size=30))
def test_what_is_no_json_is_refused_as_the_json_module_does(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"JSON|Invalid|Unterminated|Expecting|Extra"):
            exact._read(text, float)
    else:
        assert exact.same(exact._read(text, float), expected)


def test_numbers_of_any_length_are_kept() -> None:
    text = f"[{'9' * 5000}, -{'9' * 131072}, 0.{'1' * 16383}, 1E+400, 1.50]"
    assert exact.write(exact.read_exactly(text)) == text
    assert exact.read(text)[0] == Decimal("9" * 5000)


@pytest.mark.parametrize("depth", [3000, 200_000])
def test_documents_are_read_compared_and_written_however_deep_they_are(depth: int) -> None:
    for text in ("[" * depth + "]" * depth, '{"a": ' * depth + "1" + "}" * depth):
        value = exact.read(text)
        assert exact.write(value) == text
        assert exact.same(value, exact.read_exactly(text))
        assert not exact.same(value, exact.read(text.replace("[]", "[1]").replace("1}", "2}")))
