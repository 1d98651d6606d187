"""What real databases bring: values, settings, names, DDL, restores."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    # The driver's own cursor: SQLAlchemy would read a colon in the script as a parameter.
    op.get_bind().connection.cursor().execute(statements)


def downgrade() -> None:
    raise NotImplementedError("use `rowhooks uninstall`: an older release does not know what a newer one has written")
