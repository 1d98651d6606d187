"""The demonstration: the main features, on an embedded PostgreSQL."""
