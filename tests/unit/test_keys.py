"""Keys: whether an update has changed one, and which texts are one value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.keys import ANY, NUMBER, TEXT, former_key, lane_key
from tests.support.make import change


def update(key: str, before: str, action: str = "update") -> str | None:
    return former_key(change(action=action, object_id_json=key, prechange_json=before, postchange_json=before))


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ('{"id": 5}', '{"id": 5, "name": "a"}'),
        ('{"id": 5}', '{"id": 5}'),
        ('{"id": 5}', '{"a": {"id": 7}, "id": 5}'),
        ('{"a": 1, "c": "x, y"}', '{"a": 1, "b": 2, "c": "x, y"}'),
        ('{"a": 1, "c": {"d": 1.50}}', '{"a": 1, "b": 2, "c": {"d": 1.50}}'),
        # What the log does not tell.
        ('{"id": 5}', '{"name": "a"}'),
        ("{}", '{"name": "a"}'),
        ('{"id": 5}', "not JSON"),
    ],
)
def test_an_update_that_leaves_the_key_as_it_is_has_no_former_key(key: str, before: str) -> None:
    assert update(key, before) is None


@pytest.mark.parametrize(
    ("key", "before", "former"),
    [
        ('{"id": 5}', '{"id": 52, "name": "a"}', '{"id": 52}'),
        ('{"id": 5}', '{"id": 4, "a": {"id": 5}}', '{"id": 4}'),
        ('{"id": 5}', '{"a": {"id": 5}, "id": 4}', '{"id": 4}'),
        ('{"id": 1.50}', '{"id": 0.00000000010}', '{"id": 0.00000000010}'),
        ('{"id": 1}', '{"id": "é\\n\\u001f\\"\\\\"}', '{"id": "é\\n\\u001f\\"\\\\"}'),
        ('{"a": 1, "c": 2}', '{"a": 1, "b": 2, "c": 3}', '{"a": 1, "c": 3}'),
        ('{"id": true}', '{"id": 1}', '{"id": 1}'),
    ],
)
def test_an_update_of_the_key_tells_the_former_one_as_the_server_writes_it(key: str, before: str, former: str) -> None:
    assert update(key, before) == former


def test_only_an_update_has_a_former_key() -> None:
    assert update('{"id": 5}', '{"id": 4}', "delete") is None


values = (
    st.integers(0, 12)
    | st.text('x", :{}1', max_size=4)
    | st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2))
)


@given(st.dictionaries(st.sampled_from(["a", "b", "bb"]), st.tuples(values, values), min_size=1), values)
def test_whatever_is_in_the_row_a_changed_key_is_found(key: dict[str, tuple[Any, Any]], other: Any) -> None:
    before, after = ({name: pair[n] for name, pair in sorted(key.items())} for n in (0, 1))
    row = {**before, "aa": other, "ccc": {**after, "x": other}}
    written = json.dumps(dict(sorted(row.items(), key=lambda item: (len(item[0]), item[0]))), ensure_ascii=False)
    found = update(json.dumps(after, ensure_ascii=False), written)
    assert (found is None and before == after) or json.loads(found or "") == before


@pytest.mark.parametrize(
    ("how", "one", "other"),
    [
        (NUMBER, "1.0", "1.00"),
        (NUMBER, "1", "1.0"),
        (NUMBER, "100", "100.00"),
        (NUMBER, "[1.0, 2]", "[1, 2.0]"),
        (TEXT, '"Straße"', '"STRASSE"'),
        (TEXT, '"re\u0301sume\u0301"', '"R\u00e9sum\u00e9"'),
        (TEXT, '"ab  "', '"ab"'),
        (TEXT, '"a-007"', '"A 7"'),
        (ANY, '"1 day"', '"24:00:00"'),
    ],
)
def test_texts_of_one_key_have_one_lane(how: str, one: str, other: str) -> None:
    keys = [lane_key(f'{{"id": {text}, "more": "A"}}', {"id": how}) for text in (one, other)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(("how", "one", "other"), [(NUMBER, "1.0", "1.01"), (NUMBER, "10", "1"), (TEXT, '"a"', '"b"')])
def test_other_keys_have_other_lanes(how: str, one: str, other: str) -> None:
    assert lane_key(f'{{"id": {one}}}', {"id": how}) != lane_key(f'{{"id": {other}}}', {"id": how})
