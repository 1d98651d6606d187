"""The first schema: the log, jobs, hooks, results and the feed's position.

Until the first release it is what sql/structure says; the release freezes a copy here.
"""

from alembic import op

from rowhooks.resources import sql_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The driver's own cursor: SQLAlchemy would read a colon in the script as a parameter.
    op.get_bind().connection.cursor().execute(sql_script("structure"))


def downgrade() -> None:
    raise NotImplementedError("use `rowhooks uninstall`: the first schema has nothing before it")
