"""The first release's schema: the log, jobs, hooks, buttons, results, workers, tokens and the feed's position.

It is the file beside this one, and reads nothing of sql/: what a later release has there is a later revision's.
"""

from pathlib import Path

from alembic import op

# Checkouts before the first release had 0001 to 0003; no database with these is taken for one of the release's.
revision = "0.2.0"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The driver's own cursor: SQLAlchemy would read a colon in the script as a parameter.
    op.get_bind().connection.cursor().execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("use `rowhooks uninstall`: the first schema has nothing before it")
