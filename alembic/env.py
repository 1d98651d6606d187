"""Alembic's environment: runs the migrations on the connection that `rowhooks init` and `upgrade` hand over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table="alembic_version",
    # Inside our own schema: a user's alembic_version is never touched.
    version_table_schema="rowhooks",
    transactional_ddl=True,
)

with context.begin_transaction():
    context.run_migrations()
