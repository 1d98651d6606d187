"""Rehearsals: runs on a user's own database in one transaction that is never committed, for rowhooks.testing."""
