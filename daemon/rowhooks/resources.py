"""Finds the files that ship with the package: sql/, alembic/, systemd/, and templates of files."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def data_directory(name: str) -> Path:
    """Return one of the directories `sql`, `alembic` or `systemd`.

    An installed wheel carries them below `rowhooks/_data`; an editable install reads the checkout.

    Raises:
        FileNotFoundError: the installation is damaged.
    """
    for root in (_PACKAGE / "_data", _PACKAGE.parents[1]):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"rowhooks' directory {name!r} is missing beside {_PACKAGE}; reinstall rowhooks")


def file_templates() -> Path:
    """Return the directory with the templates of files that rowhooks writes for its users."""
    return _PACKAGE / "cli" / "templates"


def sql_script(*kinds: str) -> str:
    """Return the SQL that sql/install.sql lists, in its order.

    Args:
        kinds: only the files below these directories (`structure`, `functions`); all of them when empty.
    """
    root = data_directory("sql")
    listed = [line.split()[1] for line in (root / "install.sql").read_text("utf-8").splitlines() if line[:4] == "\\ir "]
    wanted = [name for name in listed if not kinds or name.split("/")[0] in kinds]
    return "\n".join((root / name).read_text("utf-8") for name in wanted)
