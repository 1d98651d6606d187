"""Setting models: which modules are imported, which classes are found, and what is refused before a daemon starts."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.rows.models import Models
from rowhooks.receivers.loading import load_receivers
from rowhooks.runtime.models import load_models
from tests.support.imports import imports_undone

BASE = """
    from sqlalchemy import *
    from sqlalchemy.orm import *

    class Base(DeclarativeBase):
        pass
"""
DEVICE = """
    class {name}(Base):
        __tablename__ = "device"
        __table_args__ = {{"schema": "dcim", "extend_existing": True}}
        id: Mapped[int] = mapped_column(primary_key=True)
"""


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    """Undo what importing leaves behind in this process."""
    with imports_undone(tmp_path):
        yield


def write(path: Path, *parts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(textwrap.dedent, parts)))


def load(directory: Path, *entries: str) -> Models:
    return load_models(entries, directory)


def names(models: Models) -> dict[str, str]:
    return {table: cls.__qualname__ for table, cls in models.by_table.items()}


def refusal(directory: Path, *entries: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load(directory, *entries)
    return str(raised.value)


def test_a_class_is_found_by_a_dotted_name_and_by_a_path(tmp_path: Path) -> None:
    write(tmp_path / "acme_one/models.py", BASE, DEVICE.format(name="Device"))
    write(tmp_path / "acme_two.py", BASE, DEVICE.format(name="Machine"))
    assert names(load(tmp_path, "acme_one.models")) == {"dcim.device": "Device"}
    assert names(load(tmp_path, "acme_two.py")) == {"dcim.device": "Machine"}


def test_classes_of_the_same_base_are_found_wherever_they_are(tmp_path: Path) -> None:
    write(tmp_path / "acme_base/base.py", BASE)
    write(tmp_path / "acme_base/devices.py", "from acme_base.base import *", DEVICE.format(name="Device"))
    write(tmp_path / "acme_base/__init__.py", "from acme_base.base import Base\nimport acme_base.devices")
    assert names(load(tmp_path, "acme_base")) == {"dcim.device": "Device"}


def test_a_module_that_cannot_be_imported_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "acme_broken.py", "x = 1\nimport acme_nowhere")
    assert refusal(tmp_path, "acme_broken") == (
        "models: module acme_broken cannot be imported: ModuleNotFoundError: No module named 'acme_nowhere'"
        f" ({tmp_path}/acme_broken.py, line 2)"
    )


def test_a_module_without_mapped_classes_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "acme_empty.py", BASE)
    assert refusal(tmp_path, "acme_empty").startswith("models: module acme_empty has no class that SQLAlchemy maps")


def test_two_classes_of_one_table_are_refused_by_name_and_one_of_them_can_be_chosen(tmp_path: Path) -> None:
    write(tmp_path / "acme_twice.py", BASE, DEVICE.format(name="Device"), DEVICE.format(name="Summary"))
    assert refusal(tmp_path, "acme_twice") == (
        "models: acme_twice.Device and acme_twice.Summary both map dcim.device (choose the one whose instances"
        ' receivers get, beside the modules: models = [..., "acme_twice:Device"])'
    )
    assert names(load(tmp_path, "acme_twice", "acme_twice:Summary")) == {"dcim.device": "Summary"}
    assert refusal(tmp_path, "acme_twice:Nothing").startswith("models: acme_twice has no class Nothing")


def test_two_modules_with_a_class_for_one_table_are_refused(tmp_path: Path) -> None:
    for name in ("acme_old", "acme_new"):
        write(tmp_path / f"{name}.py", BASE, DEVICE.format(name="Device"))
    assert "acme_new.Device and acme_old.Device both map dcim.device" in refusal(tmp_path, "acme_old", "acme_new")


def test_classes_that_share_a_table_by_inheritance_are_no_such_case(tmp_path: Path) -> None:
    write(
        tmp_path / "acme_single.py",
        BASE,
        DEVICE.format(name="Device"),
        """
            kind: Mapped[str]
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "device"}

        class Router(Device):
            __mapper_args__ = {"polymorphic_identity": "router"}
        """.replace("\n        ", "\n    "),
    )
    assert names(load(tmp_path, "acme_single")) == {"dcim.device": "Device"}


def test_classes_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "acme_unfit.py", BASE, DEVICE.format(name="Device") + '        rack = relationship("Rack")')
    assert refusal(tmp_path, "acme_unfit").startswith("models: the classes of acme_unfit do not fit each other:")


def test_a_module_that_is_imported_under_two_names_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "acme_dotted/models.py", BASE, DEVICE.format(name="Device"))
    write(
        tmp_path / "acme_receivers.py",
        """
        from rowhooks import JobHookReceiver, register_jobs
        from acme_dotted.models import Device

        class Serial(JobHookReceiver):
            def receive_job_hook(self, change, action, changed_object): ...

        register_jobs(Serial)
        """,
    )
    classes, _ = load_receivers(["acme_receivers.py"], tmp_path)
    assert len(classes) == 1
    assert refusal(tmp_path, "acme_dotted/models.py") == (
        f"models: {tmp_path}/acme_dotted/models.py is imported twice, as models and as acme_dotted.models (name it in"
        " models as it is imported elsewhere: acme_dotted.models)"
    )
    del sys.modules["models"]
    assert names(load(tmp_path, "acme_dotted.models")) == {"dcim.device": "Device"}


def test_a_file_with_receivers_and_models_is_imported_once(tmp_path: Path) -> None:
    write(
        tmp_path / "acme_both.py",
        BASE,
        DEVICE.format(name="Device"),
        """
        from rowhooks import JobHookReceiver, register_jobs

        class Serial(JobHookReceiver):
            model = Device
            def receive_job_hook(self, change, action, changed_object): ...

        register_jobs(Serial)
        """,
    )
    [receiver], _ = load_receivers(["acme_both.py"], tmp_path)
    assert load(tmp_path, "acme_both.py").by_table["dcim.device"] is receiver.model  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "code",
    [
        # A base of the older form, with the schema in its metadata.
        """
        from sqlalchemy import Column, Integer, MetaData
        from sqlalchemy.orm import declarative_base
        Base = declarative_base(metadata=MetaData(schema="dcim"))
        class Device(Base):
            __tablename__ = "device"
            id = Column(Integer, primary_key=True)
        """,
        # Mapped imperatively.
        """
        from sqlalchemy import Column, Integer, Table
        from sqlalchemy.orm import registry
        class Device:
            pass
        mappers = registry()
        mappers.map_imperatively(
            Device, Table("device", mappers.metadata, Column("id", Integer, primary_key=True), schema="dcim")
        )
        """,
        # Dataclasses.
        """
        from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
        class Base(MappedAsDataclass, DeclarativeBase):
            pass
        class Device(Base):
            __tablename__ = "device"
            __table_args__ = {"schema": "dcim"}
            id: Mapped[int] = mapped_column(primary_key=True)
        """,
        # SQLModel.
        """
        from sqlalchemy.orm import registry
        from sqlmodel import Field, SQLModel
        class Base(SQLModel, registry=registry()):
            pass
        class Device(Base, table=True):
            __table_args__ = {"schema": "dcim"}
            id: int = Field(primary_key=True)
        """,
    ],
    ids=["declarative_base", "imperative", "dataclass", "SQLModel"],
)
def test_every_way_of_mapping_a_class_is_known(tmp_path: Path, code: str, request: pytest.FixtureRequest) -> None:
    name = f"acme_way_{request.node.callspec.id.lower()}"
    write(tmp_path / f"{name}.py", code)
    assert names(load(tmp_path, name)) == {"dcim.device": "Device"}
