"""Names of classes and modules that are written for tables of any name."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.code_names import check_class_name, class_name_for, module_name_for
from rowhooks.domain.errors import UsageError


@pytest.mark.parametrize(
    ("table", "name", "module"),
    [
        ("device", "DeviceReceiver", "device_receiver"),
        ("rack_unit", "RackUnitReceiver", "rack_unit_receiver"),
        ("HTTPServer", "HTTPServerReceiver", "http_server_receiver"),
        ('odd "name"', "OddNameReceiver", "odd_name_receiver"),
        ("2fa", "Table2faReceiver", "table2fa_receiver"),
        ("class", "ClassReceiver", "class_receiver"),
        ("größe", "GrößeReceiver", "größe_receiver"),
        ("表", "表Receiver", "表_receiver"),
        ("!", "TableReceiver", "table_receiver"),
    ],
)
def test_a_table_has_a_class_and_a_module(table: str, name: str, module: str) -> None:
    assert class_name_for(table, "Receiver") == name
    assert module_name_for(name) == module


@given(st.text(min_size=1, max_size=63))
def test_whatever_a_table_is_called_its_class_and_module_have_names_of_python(table: str) -> None:
    name = class_name_for(table, "Receiver")
    check_class_name(name)
    module = module_name_for(name)
    assert module.isidentifier()
    assert not keyword.iskeyword(module)


@pytest.mark.parametrize("name", ["1st", "a-b", "", "a b", "class", "None", "match", "_Hidden", "ﬁne", "a.b"])
def test_what_cannot_be_a_class_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_class_name(name)


def test_a_module_is_no_keyword() -> None:
    assert module_name_for("Import") == "import_"
