"""The demonstration: everything at once, on an embedded PostgreSQL."""
