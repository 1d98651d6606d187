"""A program that has its models' migrations made by Alembic, with rowhooks' plugin."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.plugins import Plugin
from alembic.script import ScriptDirectory
from psycopg.conninfo import conninfo_to_dict

from rowhooks.integrations.alembic import plugin

_ENV = """
from alembic import context
from sqlalchemy import NullPool, create_engine

from rowhooks.integrations.alembic import include_name

config = context.config
options = {
    "target_metadata": config.attributes["metadata"],
    "include_schemas": True,
    "include_name": include_name,
    "autogenerate_plugins": ["alembic.autogenerate.*", "rowhooks"],
}
url = config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
"""
_TEMPLATE = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


class Project:
    """A directory with migrations.

    Args:
        directory: an empty one.
        url: the database, for SQLAlchemy.
    """

    def __init__(self, directory: Path, url: str) -> None:
        (directory / "versions").mkdir()
        (directory / "env.py").write_text(_ENV, encoding="utf-8")
        (directory / "script.py.mako").write_text(_TEMPLATE, encoding="utf-8")
        self._url = url
        self._directory = directory

    def revise(self, metadata: sqlalchemy.MetaData | list[sqlalchemy.MetaData]) -> str:
        """Make a revision by autogenerate, and return its file."""
        script = command.revision(self._config(metadata), "models", autogenerate=True)
        assert script is not None
        assert not isinstance(script, list)
        return Path(script.path).read_text(encoding="utf-8")

    def write(self, upgrade: str, downgrade: str = "pass") -> None:
        """Make a revision by hand."""
        script = command.revision(self._config(), "by hand")
        assert script is not None
        assert not isinstance(script, list)
        text = Path(script.path).read_text(encoding="utf-8")
        text = text.replace("def upgrade():\n    pass", f"def upgrade():\n    {upgrade}")
        Path(script.path).write_text(
            text.replace("def downgrade():\n    pass", f"def downgrade():\n    {downgrade}"), encoding="utf-8"
        )

    def forget(self) -> None:
        """Delete the newest revision, which was not run."""
        Path(ScriptDirectory.from_config(self._config()).get_revision("head").path).unlink()

    def upgrade(self) -> None:
        """Run all migrations."""
        command.upgrade(self._config(), "head")

    def downgrade(self, to: str = "base") -> None:
        """Undo migrations."""
        command.downgrade(self._config(), to)

    def check(self, metadata: sqlalchemy.MetaData) -> None:
        """Make sure that autogenerate would find nothing."""
        command.check(self._config(metadata))

    def script(self, revisions: str = "head", *, down: bool = False) -> str:
        """Return what `--sql` writes."""
        output = io.StringIO()
        config = self._config(output=output)
        (command.downgrade if down else command.upgrade)(config, revisions, sql=True)
        return output.getvalue()

    @property
    def head(self) -> str:
        """The newest revision."""
        head = ScriptDirectory.from_config(self._config()).get_current_head()
        assert head is not None
        return head

    def _config(self, metadata: Any = None, output: io.StringIO | None = None) -> Config:
        config = Config(output_buffer=output, stdout=io.StringIO())
        config.set_main_option("script_location", str(self._directory))
        config.set_main_option("path_separator", "os")
        config.set_main_option("sqlalchemy.url", self._url.replace("%", "%%"))
        config.attributes["metadata"] = sqlalchemy.MetaData() if metadata is None else metadata
        return config


def body(revision: str, name: str) -> str:
    """Return the body of a function of a revision, on as few lines as it has statements."""
    found = re.search(rf"def {name}\(\):\n(.*?)(?:\n\n\n|\Z)", revision, re.DOTALL)
    assert found is not None
    lines = [line.strip() for line in found[1].splitlines() if line.strip() and not line.strip().startswith("#")]
    return re.sub(r"\(\s+|,\s*\)", lambda match: match[0].strip()[:1] if "(" in match[0] else ")", "\n".join(lines))


def url_of(dsn: str, driver: str = "psycopg") -> str:
    """Return a libpq DSN as SQLAlchemy wants it."""
    given = conninfo_to_dict(dsn)
    return sqlalchemy.URL.create(
        f"postgresql+{driver}",
        username=str(given["user"]),
        password=str(given.get("password") or "") or None,
        database=str(given["dbname"]),
        query={"host": str(given["host"]), "port": str(given["port"])},
    ).render_as_string(hide_password=False)


def load_plugin() -> None:
    """Load the plugin as its entry point does, where this checkout is not installed with it."""
    with contextlib.suppress(ValueError):  # it is loaded
        Plugin.setup_plugin_from_module(plugin, "rowhooks")
