"""Connections to the target database: targets, connecting, poolers, error translation."""
