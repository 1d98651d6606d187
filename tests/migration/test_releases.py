"""What a release has given out stays as it is: its revisions, and what becomes of the databases before it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

import rowhooks
from rowhooks import resources
from rowhooks.domain.errors import SchemaMismatch
from rowhooks.postgres.administration.revisions import BEFORE_THE_RELEASE, known_revisions
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install, installed_connection, uninstall, upgrade
from rowhooks.postgres.connections.target import Target
from rowhooks.resources import data_directory

Connection = psycopg.Connection[Any]

VERSIONS = data_directory("alembic") / "versions"
RELEASED = Path(__file__).with_name("released.txt")
"""The files of revisions that a release has given out, each with its SHA-256 as `sha256sum` writes it."""


def released() -> dict[str, str]:
    return {name: digest for digest, name in map(str.split, RELEASED.read_text("utf-8").splitlines())}


def present() -> dict[str, str]:
    files = [path for path in VERSIONS.iterdir() if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_revision_that_was_released_is_never_edited() -> None:
    changed = {name for name, digest in released().items() if present().get(name) != digest}
    assert not changed, "databases have what these files said; write a later revision (CONTRIBUTING.md, Releases)"


def test_a_release_gives_out_no_revision_that_could_still_change() -> None:
    if ".dev" in rowhooks.__version__:
        return
    loose = present().keys() - released().keys()
    assert not loose, (
        "a version without .dev is a release, and its revisions stand in tests/migration/released.txt; after a release,"
        " first set the next version (CONTRIBUTING.md, Releases)"
    )


@pytest.mark.parametrize("unreadable", ["structure", "functions"])
def test_what_a_later_checkout_has_in_sql_reaches_no_revision(
    unreadable: str, database: str, admin: Connection, roles: Roles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = tmp_path / "sql"
    shutil.copytree(data_directory("sql"), later)
    for file in (later / unreadable).iterdir():
        file.write_text("create table rowhooks.of_a_later_release (id integer);\n" + file.read_text("utf-8"), "utf-8")
    where = resources.data_directory
    monkeypatch.setattr(resources, "data_directory", lambda name: later if name == "sql" else where(name))
    if unreadable == "functions":
        # As a proof that the copy is what is read.
        with pytest.raises(psycopg.Error, match="of_a_later_release"):
            _install(database, roles)
        return
    _install(database, roles)
    assert admin.execute("select to_regclass('rowhooks.of_a_later_release')").fetchone() == (None,)


def _install(database: str, roles: Roles) -> None:
    try:
        install(Target(database), roles)
    except Exception as error:
        raise error.__cause__ or error from None


@pytest.mark.parametrize("revision", sorted(BEFORE_THE_RELEASE))
def test_the_schema_of_a_checkout_before_the_release_is_named_and_left_alone(
    revision: str, database: str, admin: Connection, roles: Roles
) -> None:
    install(Target(database), roles)
    admin.execute("update rowhooks.alembic_version set version_num = %s", (revision,))
    # Such a schema has triggers and functions of names that are gone: a superuser would not be let in at all.
    admin.execute("create function rowhooks.asked_for() returns trigger language plpgsql as 'begin return new; end'")
    admin.execute(
        "create trigger asked_for before update on rowhooks.job for each row execute function rowhooks.asked_for()"
    )
    told = rf"\(revision {revision}\) is that of a checkout before rowhooks 0\.2\.0"
    target = Target(database)
    acts: list[Callable[[], object]] = [
        lambda: install(target, roles), lambda: install(target, roles, trusting=True),
        lambda: upgrade(target), lambda: upgrade(target, trusting=True), lambda: uninstall(target),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(SchemaMismatch, match=told) as refused:
            act()
        assert "with the checkout that installed it: rowhooks uninstall" in (refused.value.hint or "")
    with pytest.raises(SchemaMismatch, match=told), installed_connection(Target(database)):
        pass
    assert admin.execute("select version_num from rowhooks.alembic_version").fetchall() == [(revision,)]


def test_no_revision_of_a_release_has_the_name_of_a_checkouts() -> None:
    assert not known_revisions() & BEFORE_THE_RELEASE


def test_the_changelog_tells_of_this_version() -> None:
    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    dated = {
        heading.split(" ")[0] for heading in headings[1:] if re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", heading)
    }
    assert len(dated) == len(headings) - 1
    if ".dev" not in rowhooks.__version__:
        assert rowhooks.__version__ in dated
    groups = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert set(groups) <= {"Upgrading", "Added", "Changed", "Fixed", "Removed", "Security"}
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) == len(set(lines))
