"""Runs that are tried out on a user's own database, in one transaction that is never committed (rowhooks.testing)."""
