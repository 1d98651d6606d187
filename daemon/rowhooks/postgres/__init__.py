"""The only importer of asyncpg, psycopg, SQLAlchemy and Alembic."""
