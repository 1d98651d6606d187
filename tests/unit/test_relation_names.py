"""What the relations of a table are called."""

from __future__ import annotations

from dataclasses import replace

from rowhooks.postgres.rows.shapes import ForeignKey, RelationNames, Shape, relation_names

DEVICE, LOCATION, CABLE = 1, 2, 3
NAMES = {DEVICE: "device", LOCATION: "location", CABLE: "cable"}


def key(
    *columns: str, source: int = DEVICE, target: int = LOCATION, is_unique: bool = False, schema: str = "net"
) -> ForeignKey:
    return ForeignKey(
        "_".join(columns), source, schema, NAMES[source], columns, target, "net", NAMES[target],
        ("id",) * len(columns), ("operator(pg_catalog.=)",) * len(columns), is_unique,
    )  # fmt: skip


def names(relation: int, *keys: ForeignKey, taken: tuple[str, ...] = ()) -> RelationNames:
    return relation_names(Shape(relation, "net", NAMES[relation], "r", (), (), {}, keys), taken)


def called(found: RelationNames) -> set[str]:
    return set(found.relations)


def test_a_key_is_followed_by_its_column_without_id() -> None:
    assert called(names(DEVICE, key("location_id"))) == {"location"}
    assert called(names(DEVICE, key("site"))) == {"site"}
    assert called(names(DEVICE, key("_id"))) == {"_id"}


def test_the_other_end_is_a_set_of_the_table() -> None:
    assert called(names(LOCATION, key("location_id"))) == {"device_set"}


def test_the_other_end_of_a_unique_key_is_one_row() -> None:
    found = names(LOCATION, key("location_id", is_unique=True))
    assert called(found) == {"device"}
    assert not found.relations["device"].is_set


def test_a_column_has_its_name_and_the_relation_another() -> None:
    assert called(names(DEVICE, key("location_id"), taken=("location",))) == {"location_"}
    assert called(names(DEVICE, key("site"), taken=("site", "site_"))) == {"site__"}


def test_a_key_of_several_columns_is_followed_by_the_table() -> None:
    assert called(names(DEVICE, key("rack", "slot"))) == {"location"}


def test_a_table_that_refers_to_itself_has_both_ends() -> None:
    assert called(names(DEVICE, key("parent_id", target=DEVICE))) == {"parent", "device_set"}


def test_two_keys_to_one_table_are_told_apart_and_the_common_name_is_ambiguous() -> None:
    ends = [key(one, source=CABLE, target=DEVICE) for one in ("a_id", "b_id")]
    assert called(names(CABLE, *ends)) == {"a", "b"}
    found = names(DEVICE, *ends)
    assert called(found) == {"cable_set_by_a", "cable_set_by_b"}
    assert found.ambiguous == {"cable_set": ("cable_set_by_a", "cable_set_by_b")}


def test_tables_of_one_name_in_two_schemas_are_told_apart() -> None:
    found = names(LOCATION, key("location_id"), replace(key("location_id", schema="old"), relation=9))
    assert called(found) == {"device_set_by_location_of_net", "device_set_by_location_of_old"}


def test_the_row_that_is_referred_to_comes_first_where_both_ends_want_a_name() -> None:
    one, other = key("device_id", source=CABLE, target=DEVICE, is_unique=True), key("cable_id", target=CABLE)
    found = names(DEVICE, one, other)
    assert found.relations["cable"].is_forward
    assert called(found) == {"cable", "cable_by_device"}


def test_two_keys_of_several_columns_to_one_table_are_told_apart() -> None:
    found = names(DEVICE, key("a", "b"), key("a", "c"))
    assert called(found) == {"location_by_a_b", "location_by_a_c"}
    assert "location" in found.ambiguous
